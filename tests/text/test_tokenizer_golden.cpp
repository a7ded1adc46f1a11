#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "golden.h"
#include "support/catch.h"
#include "text/detokenizer.h"
#include "text/utf8.h"

using namespace assize::text;

namespace {

void compare_ids(const Tokenizer& tokenizer, const nlohmann::json& expected, SpecialTokens special,
                 const std::vector<std::string>& strings) {
  const auto hashes = golden::words(expected.at("hashes"));
  REQUIRE(hashes.size() == strings.size());
  for (const auto& [index, ids] : expected.at("explicit").items()) {
    INFO("string " << index << ": " << strings[std::stoul(index)]);
    CHECK(tokenizer.encode(strings[std::stoul(index)], special) == ids.get<std::vector<std::int32_t>>());
  }
  std::size_t different = 0;
  for (std::size_t i = 0; i < strings.size(); ++i) {
    if (golden::hash(tokenizer.encode(strings[i], special)) == hashes[i]) continue;
    if (++different <= 5)
      UNSCOPED_INFO("string " << i << ": " << nlohmann::json(replace_invalid_utf8(strings[i])));
  }
  CHECK(different == 0);
}

void compare_all(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  const auto strings = golden::strings();
  REQUIRE(strings.size() >= 3000);
  compare_ids(tokenizer, expected.at("parse"), SpecialTokens::parse, strings);
  compare_ids(tokenizer, expected.at("as_text"), SpecialTokens::as_text, strings);
  for (const auto& row : expected.at("decode")) {
    const auto ids = row.at("ids").get<std::vector<std::int32_t>>();
    INFO(row);
    CHECK(tokenizer.decode(ids, DecodeSpecial::keep) == row.at("keep").get<std::string>());
    CHECK(tokenizer.decode(ids, DecodeSpecial::skip) == row.at("skip").get<std::string>());
  }
  for (const auto& [text, expected_ids] : expected.at("with_template").items()) {
    std::vector<std::int32_t> ids = tokenizer.ids_before_text();
    const auto inner = tokenizer.encode(text, SpecialTokens::parse);
    ids.insert(ids.end(), inner.begin(), inner.end());
    ids.insert(ids.end(), tokenizer.ids_after_text().begin(), tokenizer.ids_after_text().end());
    CHECK(ids == expected_ids.get<std::vector<std::int32_t>>());
  }
}

// The text that encoding cannot lose: normalised where the tokenizer normalises.
void check_round_trip(const Tokenizer& tokenizer, bool normalizes) {
  for (const std::string& bytes : golden::strings()) {
    std::string text = replace_invalid_utf8(bytes);
    const auto ids = tokenizer.encode(bytes, SpecialTokens::as_text);
    INFO(nlohmann::json(text));
    CHECK(tokenizer.decode(ids, DecodeSpecial::keep) == (normalizes ? nfc(text) : text));
  }
}

}  // namespace

TEST_CASE("ids and texts equal the tokenizers library: small tokenizer like Qwen2.5") {
  compare_all(golden::small("qwen"), golden::read("tokenizer_ids_qwen.json"));
}

TEST_CASE("ids and texts equal the tokenizers library: small tokenizer like SmolLM2") {
  compare_all(golden::small("smollm"), golden::read("tokenizer_ids_smollm.json"));
}

TEST_CASE("ids and texts equal the tokenizers library: small tokenizer like Llama 3") {
  compare_all(golden::small("llama"), golden::read("tokenizer_ids_llama.json"));
}

TEST_CASE("ids and texts equal the tokenizers library: Qwen2.5") {
  const char* data = std::getenv("ASSIZE_PUBLISHED_DATA");
  if (!data) {
    std::cout << "skipped: the real Qwen2.5 tokenizer (ASSIZE_PUBLISHED_DATA is not set)\n";
    return;
  }
  const auto tokenizer = Tokenizer::load(std::filesystem::path(data) / "tokenizers/qwen2.5/tokenizer.json");
  CHECK(tokenizer.vocab_size() == 151665);
  CHECK(tokenizer.id_of("<|im_end|>") == 151645);
  compare_all(tokenizer, golden::read("tokenizer_ids_qwen25.json"));
  check_round_trip(tokenizer, true);
}

TEST_CASE("decode(encode(x)) is x, or NFC(x) where the tokenizer normalises") {
  check_round_trip(golden::small("qwen"), true);
  check_round_trip(golden::small("llama"), true);
}

TEST_CASE("a vocabulary without a byte drops it, as the reference does") {
  const auto tokenizer = golden::small("smollm");
  CHECK(tokenizer.decode(tokenizer.encode("a\x04z\x05", SpecialTokens::parse), DecodeSpecial::keep) ==
        "az\x05");
}

TEST_CASE("text that comes token by token equals the text of all tokens") {
  const auto tokenizer = golden::small("qwen");
  const auto check = [&](const std::vector<std::int32_t>& ids, DecodeSpecial special) {
    Detokenizer detokenizer(tokenizer, special);
    std::string text;
    for (const std::int32_t id : ids) {
      const std::string part = detokenizer.push(id);
      CHECK(is_utf8(part));
      text += part;
    }
    text += detokenizer.finish();
    CHECK(text == tokenizer.decode(ids, special));
    CHECK(detokenizer.finish().empty());
  };
  for (const std::string& bytes : golden::strings())
    check(tokenizer.encode(bytes, SpecialTokens::parse), DecodeSpecial::skip);
  const auto ids_of_qwen = golden::read("tokenizer_ids_qwen.json");
  for (const auto& row : ids_of_qwen.at("decode")) {
    check(row.at("ids").get<std::vector<std::int32_t>>(), DecodeSpecial::keep);
  }
}

TEST_CASE("a character is held back until its last byte") {
  const auto tokenizer = golden::small("qwen");
  Detokenizer detokenizer(tokenizer);
  const auto byte = [&](const char* spelling) { return tokenizer.id_of(spelling).value(); };
  // U+1F600 is F0 9F 98 80; the byte alphabet spells these bytes "ð", "Ł", "ĺ", "Ģ".
  CHECK(detokenizer.push(byte("ð")).empty());
  CHECK(detokenizer.push(byte("Ł")).empty());
  CHECK(detokenizer.push(byte("ĺ")).empty());
  CHECK(detokenizer.push(byte("Ģ")) == "\U0001F600");
  CHECK(detokenizer.push(byte("ð")).empty());
  CHECK(detokenizer.push(byte("a")) == "\uFFFDa");
  CHECK(detokenizer.push(byte("ð")).empty());
  CHECK(detokenizer.finish() == "\uFFFD");
}

TEST_CASE("one tokenizer serves several threads") {
  const auto tokenizer = golden::small("qwen");
  const auto strings = golden::strings();
  const auto hashes = golden::words(golden::read("tokenizer_ids_qwen.json").at("parse").at("hashes"));
  std::array<std::size_t, 4> wrong{};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < strings.size(); ++i) {
        wrong[t] += golden::hash(tokenizer.encode(strings[i], SpecialTokens::parse)) != hashes[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::array<std::size_t, 4>{});
}

TEST_CASE("ids without a token give no text") {
  const auto tokenizer = golden::small("qwen");
  CHECK(tokenizer.bytes_of(-1).empty());
  CHECK(tokenizer.bytes_of(static_cast<std::int32_t>(tokenizer.vocab_size())).empty());
  const std::vector<std::int32_t> ids{-5, tokenizer.id_of("a").value(), 1 << 30};
  CHECK(tokenizer.decode(ids, DecodeSpecial::keep) == "a");
  CHECK_FALSE(tokenizer.is_special(1 << 30));
}
