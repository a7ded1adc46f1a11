#include "base/error.h"
#include "engine/build_input.h"
#include "random_calls.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

namespace {

struct Judge {
  explicit Judge(support::TinyKind kind) {
    support::write_tiny_model(kind, folder.path());
    config = model::read_config(folder.string());
  }
  model::ModelInput build(const std::string& text, const Pictures& pictures) const {
    return build_input(config, tokenizer, text::PromptText(text, text::Trust::trusted), pictures);
  }
  support::TemporaryFolder folder;
  model::ModelConfig config;
  text::Tokenizer tokenizer = text::Tokenizer::parse(support::tiny_tokenizer_json(), "tiny");
};

}  // namespace

TEST_CASE("a text prompt has its ids and counting positions") {
  const Judge judge(support::TinyKind::qwen2);
  const model::ModelInput input = judge.build("ab<|im_end|>", {});
  REQUIRE(input.ids == std::vector<std::int32_t>{'a', 'b', support::tiny_im_end});
  REQUIRE(input.positions == std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2});
  REQUIRE(input.next_position == 3);
  REQUIRE(input.media.empty());
}

TEST_CASE("placeholders become spans of picture tokens") {
  const Judge judge(support::TinyKind::qwen2_5_vl);
  const std::string placeholder = "<|vision_start|><|image_pad|><|vision_end|>";
  const Pictures pictures{RandomCalls::picture(1, 3, 2), RandomCalls::picture(2, 1, 4)};
  const model::ModelInput input = judge.build("a" + placeholder + "b" + placeholder + "c", pictures);
  REQUIRE(input.media.size() == 2);
  REQUIRE(input.media[0].begin_token == 2);
  REQUIRE(input.media[0].tokens == 6);
  REQUIRE(input.media[1].begin_token == 2 + 6 + 3);
  REQUIRE(input.media[1].tokens == 4);
  REQUIRE(input.media[1].key == pictures[1]->key);
  REQUIRE(input.media[1].image == pictures[1]);
  const std::size_t tokens = 1 + 2 + 6 + 1 + 2 + 4 + 1;
  REQUIRE(input.ids.size() == tokens);
  REQUIRE(input.positions.size() == 3 * tokens);
  for (std::int32_t i = 0; i < std::int32_t(tokens); ++i) {
    const bool in_picture = (i >= 2 && i < 8) || (i >= 11 && i < 15);
    REQUIRE((input.ids[i] == support::tiny_image_pad) == in_picture);
  }
  // t stands still in a picture, w and h count columns and rows; text goes on behind the largest.
  REQUIRE(input.positions[2] == 2);
  REQUIRE(input.positions[7] == 2);
  REQUIRE(input.positions[tokens + 7] == 2 + 1);
  REQUIRE(input.positions[2 * tokens + 7] == 2 + 2);
  REQUIRE(input.positions[8] == 5);
  REQUIRE(input.next_position == 5 + 3 + 4 + 2);
}

TEST_CASE("pictures and placeholders must agree") {
  const Judge text_judge(support::TinyKind::llama), judge(support::TinyKind::qwen2_5_vl);
  const Pictures one{RandomCalls::picture(1, 2, 2)};
  REQUIRE_THROWS_AS(text_judge.build("a", one), base::Error);
  REQUIRE_THROWS_AS(judge.build("a", one), base::Error);
  REQUIRE_THROWS_AS(judge.build("a<|vision_start|><|image_pad|><|vision_end|>b", {}), base::Error);
  REQUIRE_NOTHROW(judge.build("a<|vision_start|><|image_pad|><|vision_end|>b", one));
}
