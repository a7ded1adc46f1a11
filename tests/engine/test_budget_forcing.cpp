#include "engine/budget_forcing.h"

#include <filesystem>
#include <span>

#include "support/catch.h"
#include "support/paths.h"
#include "support/tiny_models.h"

using namespace assize;
using engine::BudgetForcing;
using engine::take_back;
using text::SpecialTokens;

namespace {

const BudgetForcing kWait{2, "</think>", "Wait"};

std::string decode(const text::Tokenizer& tokenizer, const std::vector<std::int32_t>& ids, std::size_t count) {
  return tokenizer.decode(std::span(ids).first(count), text::DecodeSpecial::skip);
}

}  // namespace

TEST_CASE("budget forcing goes back to just before the end of the thinking") {
  const auto tiny = text::Tokenizer::parse(support::tiny_tokenizer_json(), "tiny");  // a byte is a token
  const auto ids = tiny.encode("so B.</think>", SpecialTokens::as_text);
  const auto back = take_back(ids, tiny, kWait);
  REQUIRE(back);
  CHECK(decode(tiny, ids, back->kept) == "so B.");
  CHECK(decode(tiny, back->forced, back->forced.size()) == "Wait");
}

TEST_CASE("budget forcing keeps the text of a token that also begins the end, and drops what follows in the last") {
  // A judge with a trained vocabulary: tokens cross the borders of words and tags.
  const std::filesystem::path file = std::filesystem::path(support::source_dir()) / "tests/golden/tokenizer_small_qwen.json";
  const auto small = text::Tokenizer::load(file);
  for (const std::string thinking : {"A is right, B is not.", "two shapes, no", "x"}) {
    for (const std::string behind : {"", "\n", "<"}) {
      auto ids = small.encode(thinking + "</think>" + behind, SpecialTokens::as_text);
      // Up to the token that completes the end, as in a generation.
      while (decode(small, ids, ids.size() - 1).find("</think>") != std::string::npos) ids.pop_back();
      const auto back = take_back(ids, small, kWait);
      REQUIRE(back);
      const std::string again = decode(small, ids, back->kept) + decode(small, back->forced, back->forced.size());
      CHECK(again == thinking + "Wait");
    }
  }
}

TEST_CASE("budget forcing: special tokens are not text") {
  const auto tiny = text::Tokenizer::parse(support::tiny_tokenizer_json(), "tiny");
  auto ids = tiny.encode("ab</thi", SpecialTokens::as_text);
  ids.push_back(support::tiny_im_start);
  for (const auto id : tiny.encode("nk>", SpecialTokens::as_text)) ids.push_back(id);
  const auto back = take_back(ids, tiny, kWait);
  REQUIRE(back);
  CHECK(back->kept == 2);
  CHECK_FALSE(take_back({support::tiny_im_start}, tiny, {1, "<|im_start|>", "x"}));
}
