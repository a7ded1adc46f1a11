#include "text/byte_level.h"

#include <array>

#include "text/utf8.h"

namespace assize::text {

namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr unsigned kOtherBytes = 68;

struct Alphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<unsigned char, kOtherBytes> of_other{};  // bytes of U+0100, U+0101, ...
};

constexpr Alphabet kAlphabet = [] {
  Alphabet a;
  unsigned others = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      a.of_byte[byte] = byte;
    } else {
      a.of_other[others] = static_cast<unsigned char>(byte);
      a.of_byte[byte] = 0x100 + others++;
    }
  }
  return a;
}();

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const char32_t code = kAlphabet.of_byte[static_cast<unsigned char>(c)];
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else {  // all are below U+0800: two bytes
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }
  return out;
}

std::optional<std::string> unspell_bytes(std::string_view spelling) {
  std::string out;
  out.reserve(spelling.size());
  for (std::size_t i = 0; i < spelling.size();) {
    const Utf8Step step = decode_utf8(spelling.substr(i));
    const char32_t code = step.code_point;
    if (code < 256 && stands_for_itself(code)) {
      out += static_cast<char>(code);
    } else if (code >= 0x100 && code < 0x100 + kOtherBytes) {
      out += static_cast<char>(kAlphabet.of_other[code - 0x100]);
    } else {
      return std::nullopt;
    }
    i += step.bytes;
  }
  return out;
}

}  // namespace assize::text
