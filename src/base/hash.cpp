#include "base/hash.h"

#include <xxhash.h>

#include <cstdio>
#include <new>

namespace assize::base {

namespace {
Hash128 from_xxh(XXH128_hash_t h) { return {h.low64, h.high64}; }
XXH3_state_t* state(void* s) { return static_cast<XXH3_state_t*>(s); }
}  // namespace

Hash128 hash128(std::span<const std::byte> bytes) { return from_xxh(XXH3_128bits(bytes.data(), bytes.size())); }
Hash128 hash128(std::string_view bytes) { return from_xxh(XXH3_128bits(bytes.data(), bytes.size())); }

std::uint64_t hash64(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}
std::uint64_t hash64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string to_hex(Hash128 hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

Hasher::Hasher() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH3_128bits_reset(state(state_));
}
Hasher::~Hasher() { XXH3_freeState(state(state_)); }

Hasher& Hasher::add(std::span<const std::byte> part) {
  add(static_cast<std::uint64_t>(part.size()));
  XXH3_128bits_update(state(state_), part.data(), part.size());
  return *this;
}
Hasher& Hasher::add(std::string_view part) { return add(std::as_bytes(std::span(part.data(), part.size()))); }
Hasher& Hasher::add(std::uint64_t value) {
  XXH3_128bits_update(state(state_), &value, sizeof value);
  return *this;
}
Hash128 Hasher::digest() const { return from_xxh(XXH3_128bits_digest(state(state_))); }

}  // namespace assize::base
