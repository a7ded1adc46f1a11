#include <algorithm>

#include "base/error.h"
#include "base/noise.h"
#include "model/config.h"
#include "support/catch.h"

using namespace assize;
using Ids = std::vector<std::int32_t>;
using Grids = std::vector<std::array<std::int32_t, 3>>;

namespace {
constexpr std::int32_t vs = 900, ve = 901, img = 902, vid = 903;

model::ModelConfig vl_config() {
  model::ModelConfig config;
  config.architecture = model::Architecture::qwen2_5_vl;
  config.vision.merge_size = 2;
  config.vision_start_token_id = vs;
  config.image_token_id = img;
  config.video_token_id = vid;
  return config;
}

void append(Ids& to, const Ids& more) { to.insert(to.end(), more.begin(), more.end()); }
}  // namespace

TEST_CASE("positions of the worked example with one picture (models.md 2.5)") {
  const Ids ids = {1, 2, vs, img, img, img, img, img, img, ve, 3, 4};
  std::int32_t next = -1;
  const Ids expected = {0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7, 8,  //
                        0, 1, 2, 3, 3, 3, 4, 4, 4, 6, 7, 8,  //
                        0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8};
  CHECK(model::rope_positions(vl_config(), ids, {{1, 4, 6}}, next) == expected);
  CHECK(next == 9);
  CHECK(next - static_cast<std::int32_t>(ids.size()) == -3);  // the rope delta of the reference
}

TEST_CASE("positions of text are 0, 1, 2, ... on all rows") {
  for (const auto& config : {vl_config(), model::ModelConfig{}}) {
    std::int32_t next = -1;
    CHECK(model::rope_positions(config, {5, 6, 7}, {}, next) == Ids{0, 1, 2, 0, 1, 2, 0, 1, 2});
    CHECK(next == 3);
    CHECK(model::rope_positions(config, {}, {}, next).empty());
    CHECK(next == 0);
  }
}

TEST_CASE("positions of random prompts keep the properties of the definition") {
  const auto config = vl_config();
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    auto draw = [trial, k = 0u](std::uint32_t below) mutable {
      return static_cast<std::int32_t>(base::noise_bits(77, trial, k++) % below);
    };
    Ids ids;
    Grids grids;
    std::vector<std::size_t> starts;
    for (std::int32_t parts = draw(5); parts >= 0; --parts) {
      for (std::int32_t n = draw(6); n > 0; --n) ids.push_back(draw(800));
      if (draw(2)) {
        grids.push_back({1, 2 * (1 + draw(7)), 2 * (1 + draw(7))});
        ids.push_back(vs);
        starts.push_back(ids.size());
        append(ids, Ids(static_cast<std::size_t>(grids.back()[1] * grids.back()[2] / 4), img));
        ids.push_back(ve);
      }
    }
    std::int32_t next = -1;
    const auto positions = model::rope_positions(config, ids, grids, next);
    const std::size_t n = ids.size();
    REQUIRE(positions.size() == 3 * n);
    std::int32_t largest = -1;
    std::size_t picture = 0;
    for (std::size_t i = 0; i < n;) {
      if (ids[i] != img) {
        // A text token comes right after everything before it, on all three rows.
        CHECK(positions[i] == largest + 1);
        CHECK(positions[n + i] == largest + 1);
        CHECK(positions[2 * n + i] == largest + 1);
        largest = positions[i++];
        continue;
      }
      const std::int32_t columns = grids[picture][2] / 2, base = largest + 1;
      REQUIRE(i == starts[picture]);
      for (std::int32_t k = 0; k < grids[picture][1] / 2 * columns; ++k, ++i) {
        CHECK(positions[i] == base);
        CHECK(positions[n + i] == base + k / columns);
        CHECK(positions[2 * n + i] == base + k % columns);
        largest = std::max({largest, positions[n + i], positions[2 * n + i]});
      }
      ++picture;
    }
    CHECK(next == largest + 1);
  }
}

TEST_CASE("prompts whose placeholders and pictures do not match are refused") {
  const auto config = vl_config();
  std::int32_t next = 0;
  const auto message = [&](const Ids& ids, const Grids& grids) -> std::string {
    try {
      model::rope_positions(config, ids, grids, next);
    } catch (const base::Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message({1, vs, img, ve}, {}) ==
        "prompt has more image placeholders than the 0 pictures given: one at token 2 has no picture");
  CHECK(message({1, 2}, {{1, 2, 2}}) == "prompt has placeholders for 0 pictures but 1 were given");
  CHECK(message({vs, img, ve}, {{1, 4, 2}}) ==
        "picture 1 takes 2 tokens but the prompt has 1 placeholders at token 1");
  CHECK(message({vs, img, img, ve}, {{1, 2, 2}}) ==
        "picture 1 takes 1 tokens but the prompt has 2 placeholders at token 1");
  CHECK(message({1, img, ve}, {{1, 2, 2}}) ==
        "prompt has an image placeholder at token 1 that does not follow a vision start token");
  CHECK(message({1, vid}, {}) == "prompt has a video placeholder at token 1; videos are not supported");
  for (const auto& grid : Grids{{1, 3, 2}, {1, 2, 0}, {0, 2, 2}, {1, -2, 2}, {1, 1 << 30, 1 << 30}}) {
    CHECK(message({vs, img, ve}, {grid}).starts_with("picture 1 has the impossible patch grid"));
  }
}
