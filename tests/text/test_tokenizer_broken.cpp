#include <functional>

#include "base/error.h"
#include "golden.h"
#include "support/catch.h"

using namespace assize::text;
using nlohmann::json;

namespace {

// The message for a changed copy of the small tokenizer; empty when it was accepted.
std::string error_of(const std::function<void(json&)>& change, const char* name = "qwen") {
  json table = golden::read(std::string("tokenizer_small_") + name + ".json");
  change(table);
  try {
    Tokenizer::parse(table.dump(), "judge/tokenizer.json");
  } catch (const assize::base::Error& error) {
    return error.what();
  }
  return {};
}

void check_error(const std::function<void(json&)>& change, const std::vector<std::string>& parts,
                 const char* name = "qwen") {
  const std::string message = error_of(change, name);
  INFO(message);
  CHECK(message.starts_with("judge/tokenizer.json"));
  CHECK(message.find('\n') == std::string::npos);
  for (const std::string& part : parts) CHECK(message.find(part) != std::string::npos);
}

std::string parse_error(const std::string& text) {
  try {
    Tokenizer::parse(text, "t.json");
  } catch (const assize::base::Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("an unchanged tokenizer is accepted") {
  for (const char* name : {"qwen", "smollm", "llama"}) CHECK(error_of([](json&) {}, name).empty());
}

TEST_CASE("what is not JSON or not a tokenizer") {
  CHECK(parse_error("").find("is not valid JSON (broken at byte 1)") != std::string::npos);
  CHECK(parse_error(R"({"model": )").find("is not valid JSON") != std::string::npos);
  CHECK(parse_error(std::string(200000, '[')).find("is not valid JSON") != std::string::npos);
  CHECK(parse_error("[1]").find("must hold a JSON object") != std::string::npos);
  CHECK(parse_error("{}").find("model: is missing") != std::string::npos);
  CHECK_THROWS_WITH(Tokenizer::load("/nowhere/tokenizer.json"),
                    Catch::Matchers::Contains("/nowhere/tokenizer.json"));
}

TEST_CASE("other models and options are refused by name") {
  check_error([](json& t) { t["model"]["type"] = "Unigram"; }, {"model.type", "'Unigram'", "only BPE"});
  check_error([](json& t) { t["model"]["type"] = 3; }, {"model.type", "must be a string"});
  check_error([](json& t) { t["model"]["byte_fallback"] = true; }, {"model.byte_fallback", "must be false"});
  check_error([](json& t) { t["model"]["dropout"] = 0.1; }, {"model.dropout"});
  check_error([](json& t) { t["model"]["continuing_subword_prefix"] = "##"; }, {"continuing_subword_prefix"});
  check_error([](json& t) { t["model"]["end_of_word_suffix"] = "</w>"; }, {"end_of_word_suffix"});
  check_error([](json& t) { t["model"]["unk_token"] = "nothing"; }, {"model.unk_token", "'nothing'"});
  check_error(
      [](json& t) {
        t["normalizer"] = {{"type", "Lowercase"}};
      },
      {"normalizer.type", "'Lowercase'", "NFC"});
  check_error([](json& t) { t["pre_tokenizer"] = nullptr; }, {"pre_tokenizer: is missing"});
  check_error(
      [](json& t) {
        t["pre_tokenizer"] = {{"type", "Metaspace"}};
      },
      {"pre_tokenizer.type", "'Metaspace'", "ByteLevel"});
  check_error([](json& t) { t["pre_tokenizer"]["pretokenizers"].erase(1); },
              {"pre_tokenizer", "no ByteLevel"});
  check_error(
      [](json& t) {
        std::swap(t["pre_tokenizer"]["pretokenizers"][0], t["pre_tokenizer"]["pretokenizers"][1]);
      },
      {"pretokenizers[1]", "ByteLevel"});
  check_error([](json& t) { t["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; },
              {"add_prefix_space"});
  check_error([](json& t) { t["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "MergedWithNext"; },
              {"behavior", "'MergedWithNext'"});
  check_error(
      [](json& t) {
        t["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Regex", "(a"}};
      },
      {"pattern", "Oniguruma"});
  check_error(
      [](json& t) {
        t["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Regex", std::string(5000, '(')}};
      },
      {"pattern"});
  check_error(
      [](json& t) {
        t["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Regex", std::string(100000, 'a')}};
      },
      {"pattern", "limit"});
  check_error([](json& t) { t["pre_tokenizer"]["pretokenizers"][0]["pattern"] = json::object(); },
              {"pattern.Regex: is missing"});
  check_error(
      [](json& t) {
        t["post_processor"] = {{"type", "BertProcessing"}};
      },
      {"post_processor.type", "'BertProcessing'"});
  check_error(
      [](json& t) {
        for (int depth = 0; depth < 50; ++depth)
          t["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {t["pre_tokenizer"]}}};
      },
      {"'Sequence'"});
}

TEST_CASE("broken vocabularies, merges and added tokens") {
  check_error([](json& t) { t["model"]["vocab"] = json::array(); }, {"model.vocab", "object"});
  check_error([](json& t) { t["model"]["vocab"] = json::object(); }, {"model.vocab", "byte"});
  check_error([](json& t) { t["model"]["vocab"]["x1"] = -1; }, {"model.vocab['x1']", "-1"});
  check_error([](json& t) { t["model"]["vocab"]["x1"] = 4000000000u; }, {"model.vocab['x1']", "4000000000"});
  check_error([](json& t) { t["model"]["vocab"]["x1"] = "7"; }, {"model.vocab['x1']", "integer"});
  check_error([](json& t) { t["model"]["vocab"]["x1"] = 5; }, {"id 5", "x1"});
  check_error([](json& t) { t["model"].erase("merges"); }, {"model.merges: is missing"});
  check_error([](json& t) { t["model"]["merges"][3] = "a b c"; }, {"model.merges[3]", "one blank"});
  check_error([](json& t) { t["model"]["merges"][3] = {"a"}; }, {"model.merges[3]"});
  check_error([](json& t) { t["model"]["merges"][3] = 5; }, {"model.merges[3]"});
  check_error([](json& t) { t["model"]["merges"][3] = {"a", "nowhere"}; }, {"model.merges[3]", "'nowhere'"});
  check_error([](json& t) { t["model"]["merges"][3] = {"#", "z"}; }, {"model.merges[3]", "'#z'"});
  check_error([](json& t) { t["added_tokens"][1].erase("id"); }, {"added_tokens[1].id: is missing"});
  check_error([](json& t) { t["added_tokens"][1]["id"] = 1500; }, {"added_tokens[1]", "id 1500"});
  check_error([](json& t) { t["added_tokens"][1]["content"] = "a"; }, {"added_tokens[1].id", "'a'"});
  check_error([](json& t) { t["added_tokens"][1]["special"] = "yes"; },
              {"added_tokens[1].special", "true or false"});
  check_error([](json& t) { t["added_tokens"][1]["content"] = std::string(10000, 'x'); },
              {"added_tokens[1]", "4096"});
  check_error([](json& t) { t["post_processor"]["processors"][1]["special_tokens"] = json::object(); },
              {"special_tokens"}, "llama");
}

TEST_CASE("a regular expression that backtracks without end is stopped") {
  json table = golden::read("tokenizer_small_qwen.json");
  table["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {{"Regex", "(?:(?:a|aa)+)+b"}};
  const auto tokenizer = Tokenizer::parse(table.dump(), "t.json");
  CHECK_THROWS_WITH(tokenizer.encode(std::string(200, 'a'), SpecialTokens::parse),
                    Catch::Matchers::Contains("gave up on a text of 200 bytes"));
  CHECK(tokenizer.decode(tokenizer.encode("aab", SpecialTokens::parse), DecodeSpecial::keep) == "aab");
}

TEST_CASE("runs of a million equal characters are encoded") {
  for (const char* name : {"qwen", "smollm", "llama"}) {
    const auto tokenizer = golden::small(name);
    for (const char* unit : {" ", "a", "\n", "\u4e2d", "7", "-"}) {
      std::string text;
      while (text.size() < 1000000) text += unit;
      text += "x";
      CHECK(tokenizer.decode(tokenizer.encode(text, SpecialTokens::parse), DecodeSpecial::keep) == text);
    }
  }
}
