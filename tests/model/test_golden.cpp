#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/catch.h"
#include "support/paths.h"
#include "tiny_judge.h"

using namespace assize;
using nlohmann::json;
using support::TinyKind;

namespace {

json golden(const std::string& name) {
  return json::parse(base::read_file(support::source_dir() + "/tests/golden/model_" + name + ".json"));
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    largest = difference <= largest ? largest : difference;  // a NaN counts as larger
  }
  return largest;
}

/// Encodes the pictures of a golden prompt and compares some columns of their embeddings.
void check_pictures(test::TinyJudge& judge, const json& prompt,
                    const std::vector<std::array<std::int32_t, 3>>& grids) {
  std::int32_t tokens = 0;
  for (std::size_t i = 0; i < grids.size(); ++i) {
    const auto image = test::golden_picture(prompt.at("name"), i, grids[i]);
    judge.tower->encode(image, judge.embeddings, tokens);
    tokens += static_cast<std::int32_t>(image.tokens());
  }
  const auto columns = prompt.at("embedding_columns").get<std::vector<std::size_t>>();
  const auto hidden = static_cast<std::size_t>(judge.config.hidden);
  std::vector<float> rows(static_cast<std::size_t>(tokens) * hidden), probes;
  judge.backend->download(judge.embeddings, rows);
  for (std::size_t row = 0; row < static_cast<std::size_t>(tokens); ++row) {
    for (const std::size_t column : columns) probes.push_back(rows[row * hidden + column]);
  }
  CHECK(largest_difference(probes, prompt.at("embeddings").get<std::vector<float>>()) <= 2e-5f);
}

}  // namespace

TEST_CASE("logits, greedy tokens, positions and picture embeddings equal the reference implementation") {
  for (const TinyKind kind : {TinyKind::llama, TinyKind::llama3, TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
    const support::TemporaryFolder folder;
    support::write_tiny_model(kind, folder.path());
    const auto alone = comm::make_alone();
    test::TinyJudge judge(
        folder.string(), *alone,
        {.step_rows = 512, .sample_rows = 1, .kv_blocks = 64, .image_patches = 512, .embedding_rows = 128});
    std::int32_t next_block = 0;
    const json expected = golden(std::string(support::name(kind)));
    for (const json& prompt : expected.at("prompts")) {
      INFO(support::name(kind) << ": " << prompt.at("name"));
      const auto ids = prompt.at("ids").get<std::vector<std::int32_t>>();
      const auto grids = prompt.at("grids").get<std::vector<std::array<std::int32_t, 3>>>();
      if (prompt.contains("positions")) {
        std::int32_t next_position = 0;
        CHECK(model::rope_positions(judge.config, ids, grids, next_position) ==
              prompt.at("positions").get<std::vector<std::int32_t>>());
        CHECK(next_position == prompt.at("next_position").get<std::int32_t>());
      }
      if (!grids.empty()) check_pictures(judge, prompt, grids);

      auto sequence = test::make_sequence(judge.config, ids, grids);
      const auto first = test::advance(judge, sequence, next_block, 512);
      CHECK(largest_difference(judge.decoder->logits(0), prompt.at("logits").get<std::vector<float>>()) <=
            1e-4f);
      // All margins of the golden tokens are above 1e-3, so every token is determined.
      std::vector<std::int32_t> greedy = {first.id};
      sequence.append(first.id);
      const auto rest = test::generate(judge, sequence, next_block, 512, 63);
      greedy.insert(greedy.end(), rest.begin(), rest.end());
      CHECK(greedy == prompt.at("greedy").get<std::vector<std::int32_t>>());
    }
  }
}

TEST_CASE("the walk over a picture equals the reference implementation") {
  const support::TemporaryFolder folder;
  support::write_tiny_model(TinyKind::qwen2_5_vl, folder.path());
  const auto config = model::read_config(folder.string());
  model::VisionPlan plan;
  for (const json& row : golden("vision_plan")) {
    const auto [t, h, w] = row.at("grid").get<std::array<std::int32_t, 3>>();
    INFO(row.at("grid").dump());
    model::plan_vision(config.vision, t, h, w, plan);
    const auto patches = static_cast<std::size_t>(t * h * w);
    REQUIRE(plan.patch_order.size() == patches);
    CHECK(plan.token_order == row.at("token_order").get<std::vector<std::int32_t>>());
    CHECK(plan.window_ends == row.at("window_ends").get<std::vector<std::int32_t>>());
    std::vector<std::int32_t> frame_ends;
    for (std::int32_t frame = 1; frame <= t; ++frame) frame_ends.push_back(frame * h * w);
    CHECK(plan.frame_ends == frame_ends);
    for (std::size_t k = 0; k < patches; ++k) {
      CHECK(plan.patch_order[k] == 4 * plan.token_order[k / 4] + static_cast<std::int32_t>(k % 4));
    }
    // The last patch of the picture, wherever the windows put it.
    const auto at = std::find(plan.patch_order.begin(), plan.patch_order.end(), t * h * w - 1);
    const auto angles = plan.angles.begin() + (at - plan.patch_order.begin()) * 40;
    CHECK(largest_difference({angles, angles + 40}, row.at("last_angles").get<std::vector<float>>()) <=
          4e-6f);
  }
}
