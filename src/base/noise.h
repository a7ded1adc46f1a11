#pragma once

#include <cstdint>

#include "base/hash.h"

namespace assize::base {

/// The noise stream of one call: a function of (run seed, call key digest) alone.
std::uint64_t noise_stream(std::uint64_t seed, Hash128 call);

/// Counter-based noise: 64 random bits that depend on (stream, position, token id) and nothing else.
/// SplitMix64 finaliser over the mixed counters (Steele, Lea, Flood 2014).
inline std::uint64_t noise_bits(std::uint64_t stream, std::uint32_t position, std::uint32_t token_id) {
  std::uint64_t z = stream + 0x9E3779B97F4A7C15ull * (((static_cast<std::uint64_t>(position) << 32) | token_id) + 1);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

/// Uniform in the open interval (0, 1), a multiple of 2^-32 plus 2^-33 (exact in double; the sum would round to 1
/// in float); from noise_bits.
inline double noise_uniform(std::uint64_t stream, std::uint32_t position, std::uint32_t token_id) {
  return (static_cast<double>(noise_bits(stream, position, token_id) >> 32) + 0.5) * 0x1p-32;
}

}  // namespace assize::base
