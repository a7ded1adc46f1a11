#pragma once

#include <cstdint>
#include <compare>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace assize::base {

/// A 128-bit content hash (XXH3). Used as identity of contents; not cryptographic.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  auto operator<=>(const Hash128&) const = default;
};

/// XXH3-128 of `bytes`.
Hash128 hash128(std::span<const std::byte> bytes);
Hash128 hash128(std::string_view bytes);

/// XXH3-64 of `bytes` with `seed`.
std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed = 0);
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0);

/// 32 lower-case hexadecimal digits, high half first.
std::string to_hex(Hash128 hash);

/// Hashes a sequence of parts; each part is framed by its length, so ("ab","c") differs from ("a","bc").
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& add(std::string_view part);
  Hasher& add(std::span<const std::byte> part);
  Hasher& add(std::uint64_t value);
  Hash128 digest() const;

 private:
  void* state_;
};

}  // namespace assize::base

template <>
struct std::hash<assize::base::Hash128> {
  std::size_t operator()(const assize::base::Hash128& h) const noexcept { return h.low ^ (h.high * 31); }
};
