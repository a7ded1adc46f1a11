#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace assize::base {

static_assert(std::endian::native == std::endian::little, "wire and journal formats are little-endian");

/// Appends values to a byte buffer: little-endian numbers, strings with a 32-bit length before them.
class ByteWriter {
 public:
  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  ByteWriter& put(T value) {
    return append(&value, sizeof value);
  }
  ByteWriter& put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    return append(text.data(), text.size());
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  ByteWriter& put(const std::vector<T>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    return append(values.data(), values.size() * sizeof(T));
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  ByteWriter& append(const void* data, std::size_t size);
  std::vector<std::byte> bytes_;
};

/// Reads what ByteWriter wrote. Every read is bounds-checked: throws Error "message is cut short".
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string text() {
    const auto size = get<std::uint32_t>();
    const auto part = take(size);
    return std::string(reinterpret_cast<const char*>(part.data()), part.size());
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  std::vector<T> values() {
    const std::size_t count = get<std::uint32_t>();
    const auto part = take(count * sizeof(T));
    std::vector<T> out(count);
    if (count) std::memcpy(out.data(), part.data(), part.size());
    return out;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::span<const std::byte> take(std::size_t size) {
    if (size > rest_.size()) throw Error("message is cut short", ErrorKind::failed);
    const auto part = rest_.first(size);
    rest_ = rest_.subspan(size);
    return part;
  }
  std::span<const std::byte> rest_;
};

}  // namespace assize::base
