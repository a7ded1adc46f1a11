#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace assize::test {

/// Deterministic numbers for tests (SplitMix64).
class Values {
 public:
  explicit Values(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  /// Uniform in [-1, 1).
  float uniform() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }
  std::int32_t below(std::int32_t limit) {
    return static_cast<std::int32_t>(bits() % static_cast<std::uint64_t>(limit));
  }
  std::vector<float> uniform(std::size_t count, float scale = 1.0f) {
    std::vector<float> values(count);
    for (float& v : values) v = scale * uniform();
    return values;
  }

 private:
  std::uint64_t state_;
};

}  // namespace assize::test
