#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace assize::text {

/// One decoded position of a byte string.
struct Utf8Step {
  char32_t code_point = 0;  ///< U+FFFD where the bytes are not UTF-8
  std::size_t bytes = 0;    ///< length of the character, or of the maximal invalid part (1 to 3)
  enum class Kind { valid, invalid, cut_short } kind = Kind::valid;  ///< cut_short: could go on after the end
};

/// Decodes at the start of `bytes`, which must not be empty. Invalid parts are as in the Unicode standard,
/// section 3.9
/// ("maximal subpart"), which Python's errors="replace" and Rust's from_utf8_lossy follow.
Utf8Step decode_utf8(std::string_view bytes);

/// True when all of `bytes` is UTF-8.
bool is_utf8(std::string_view bytes);

/// `bytes` with each maximal invalid part replaced by one U+FFFD: Python's bytes.decode("utf-8", "replace").
std::string replace_invalid_utf8(std::string_view bytes);

/// Number of bytes at the end (0 to 3) that are the beginning of a character cut short.
std::size_t unfinished_utf8_bytes(std::string_view bytes);

/// True for white space as the reference's regular expressions see it (Unicode property White_Space).
bool is_white_space(char32_t c);
/// True for Unicode general category N* (Rust's char::is_numeric).
bool is_numeric(char32_t c);
/// True for characters of words: letters, marks, decimal digits, letter numbers, connectors, joiners.
bool is_word(char32_t c);

/// NFC of valid UTF-8 text, by utf8proc with the data of Unicode 9 as in the reference: later combining marks
/// stay where they are.
std::string nfc(std::string_view text);

}  // namespace assize::text
