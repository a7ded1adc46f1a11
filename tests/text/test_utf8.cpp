#include "golden.h"
#include "support/catch.h"
#include "text/byte_level.h"
#include "text/utf8.h"

using namespace assize::text;

TEST_CASE("invalid bytes become U+FFFD, one for each maximal part (Unicode 15, tables 3-8 to 3-11)") {
  const std::string r = "\uFFFD";
  CHECK(replace_invalid_utf8("plain \u00e9 \U0001F600") == "plain \u00e9 \U0001F600");
  CHECK(replace_invalid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(replace_invalid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(replace_invalid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") ==
        r + r + r + r + r + "A" + r + r + "B");
  CHECK(replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == r + r + r + r + "A");
}

TEST_CASE("every sequence of up to three bytes: replacement is valid, and valid text stays") {
  std::string bytes;
  std::size_t wrong = 0;
  for (unsigned code = 0; code < 0x1000000; code += code < 0x10000 ? 1 : 251) {
    bytes = {static_cast<char>(code), static_cast<char>(code >> 8), static_cast<char>(code >> 16)};
    const std::string fixed = replace_invalid_utf8(bytes);
    wrong += !is_utf8(fixed) || is_utf8(bytes) != (fixed == bytes) || replace_invalid_utf8(fixed) != fixed;
    wrong += unfinished_utf8_bytes(bytes) > 3 || (is_utf8(bytes) && unfinished_utf8_bytes(bytes) != 0);
  }
  CHECK(wrong == 0);
}

TEST_CASE("unfinished bytes at the end are counted") {
  CHECK(unfinished_utf8_bytes("") == 0);
  CHECK(unfinished_utf8_bytes("a\xC3") == 1);
  CHECK(unfinished_utf8_bytes("a\xE2\x82") == 2);
  CHECK(unfinished_utf8_bytes("\xF0\x9F\x98") == 3);
  CHECK(unfinished_utf8_bytes("\xF0\x9F\x98\x80") == 0);
  CHECK(unfinished_utf8_bytes("\xE0\x80") == 0);  // never a character: E0 needs A0..BF
  CHECK(unfinished_utf8_bytes("\x80\x80\x80") == 0);
}

TEST_CASE("the byte alphabet spells every byte and back") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string spelled = spell_bytes(all);
  CHECK(unspell_bytes(spelled) == all);
  CHECK(spell_bytes(" \n") == "\u0120\u010a");
  CHECK_FALSE(unspell_bytes("a b"));
  CHECK_FALSE(unspell_bytes("\u4e2d"));
  CHECK_FALSE(unspell_bytes("\u0144"));
}

TEST_CASE("NFC composes, also singletons and Hangul") {
  CHECK(nfc("e\u0301 \u212b \u1100\u1161\u11a8") == "\u00e9 \u00c5 \uac01");
  CHECK(nfc("o\u0323\u0302") == "\u1ed9");
  CHECK(nfc(std::string("a\0b", 3)) == std::string("a\0b", 3));
}
