#include <filesystem>
#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

#include "backend/cuda/backend.h"
#include "base/file.h"
#include "cuda_host/follow.h"
#include "media/preprocessor.h"
#include "model/config.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace assize;
using nlohmann::json;
using support::TinyKind;
using test::Comparison;
using test::Prompt;
using test::Step;

namespace {

/// A margin (of the two largest log-probabilities) above this determines the token in bf16. PyTorch 2.6 in bf16 moves the margins of the
/// tiny judges' golden steps by up to 0.35 against its own f32; half as much again is allowed.
constexpr float kTolerance = 0.5f;

const std::filesystem::path kSource = support::source_dir();

std::vector<Prompt> tiny_prompts(TinyKind kind, int tokens) {
  const json golden =
      json::parse(base::read_file((kSource / ("tests/golden/model_" + std::string(support::name(kind)) + ".json")).string()));
  std::vector<Prompt> prompts;
  for (const json& row : golden.at("prompts")) {
    Prompt prompt;
    prompt.name = row.at("name");
    prompt.ids = row.at("ids").get<std::vector<std::int32_t>>();
    prompt.grids = row.at("grids").get<std::vector<std::array<std::int32_t, 3>>>();
    for (std::size_t i = 0; i < prompt.grids.size(); ++i) {
      prompt.pictures.push_back(test::golden_picture(prompt.name, i, prompt.grids[i]));
    }
    prompt.tokens = tokens;
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

/// The first `count` recorded prompts of the shapes suites, spread over the suites, with the pictures of their samples.
std::vector<Prompt> shapes_prompts(const std::string& judge, std::size_t count, int tokens) {
  const json golden = json::parse(base::read_file((kSource / "tests/golden/shapes_texts.json").string()));
  const auto preprocessing = media::read_preprocessing(judge);
  std::map<std::string, std::map<std::string, json>> suites;
  std::vector<Prompt> prompts;
  const json& items = golden.at("items");
  for (std::size_t n = 0; n < count; ++n) {
    const json& item = items[n * items.size() / count];
    const std::string suite = item.at("suite"), id = item.at("id");
    const auto folder = kSource / "configs/suites" / suite;
    auto& samples = suites[suite];
    if (samples.empty()) {
      std::ifstream in(folder / "samples.jsonl");
      for (std::string line; std::getline(in, line);) {
        const json sample = json::parse(line);
        samples[sample.at("id")] = sample;
      }
    }
    Prompt prompt;
    prompt.name = suite + " " + id;
    prompt.ids = item.at("prompt_ids").get<std::vector<std::int32_t>>();
    const auto add = [&](const json& from) {
      for (const json& name : from.value("images", json::array())) {
        prompt.pictures.push_back(media::load_image_patches((folder / name.get<std::string>()).string(), preprocessing));
        const auto& picture = prompt.pictures.back();
        prompt.grids.push_back({picture.grid_t, picture.grid_h, picture.grid_w});
      }
    };
    add(samples.at(id));
    for (const json& candidate : samples.at(id).at("candidates")) add(candidate);
    prompt.tokens = std::min(tokens, static_cast<int>(item.at("ids").size()));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

model::ModelLimits limits() {
  return {.step_rows = 512, .sample_rows = 4, .kv_blocks = 160, .image_patches = 1024, .embedding_rows = 512};
}

/// The CPU's steps, then those of the CUDA backend over stand-ins, led along the CPU's tokens.
Comparison compare(const std::string& folder, const std::vector<Prompt>& prompts, int ranks, std::int32_t chunk) {
  const auto alone = comm::make_alone();
  std::vector<std::vector<Step>> expected;
  {
    test::TinyJudge judge(folder, *alone, limits());
    std::int32_t next_block = 0;
    for (const Prompt& prompt : prompts) {
      expected.push_back(follow(judge, prompt, next_block, 512));
      next_block = 0;
    }
  }
  std::vector<Comparison> found(static_cast<std::size_t>(ranks));
  test::on_ranks(ranks, [&](comm::Comm& group) {
    test::TinyJudge judge(folder, backend::cuda::make_cuda_backend(group, group.rank()), limits());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      std::int32_t next_block = 0;
      found[static_cast<std::size_t>(group.rank())].add(follow(judge, prompts[i], next_block, chunk, &expected[i]),
                                                        expected[i], kTolerance);
    }
  });
  for (const Comparison& of_rank : found) {
    CHECK(of_rank.different == found[0].different);
    CHECK(of_rank.largest_error == found[0].largest_error);
  }
  return found[0];
}

void report(const std::string& what, const Comparison& comparison) {
  WARN(what << ": " << comparison.items << " items, " << comparison.steps << " steps, " << comparison.equal
            << " with the CPU's token; " << comparison.near_ties << " near-ties, " << comparison.led
            << " steps led along the CPU's tokens after one; " << comparison.different
            << " differ where bf16 determines the token; largest error of a log-probability "
            << comparison.largest_error);
}

/// The shipped judge, whose prompts are led for `tokens` tokens at most.
void compare_shipped(int ranks, std::size_t items, int tokens) {
  const std::string judge = (kSource / "configs/judges/shapes-judge").string();
  if (!std::filesystem::exists(judge + "/model.safetensors")) {
    WARN("skipped: configs/judges/shapes-judge holds no weights");
    return;
  }
  const Comparison comparison = compare(judge, shapes_prompts(judge, items, tokens), ranks, 512);
  report("shapes-judge, " + std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks"), comparison);
  CHECK(comparison.items == static_cast<int>(items));
  CHECK(comparison.different == 0);
  CHECK(comparison.largest_error < kTolerance);
  CHECK(comparison.determined() > comparison.steps * 3 / 4);
}

}  // namespace

TEST_CASE("tiny judges on the emulated GPU take the CPU's tokens wherever bf16 determines them") {
  for (const int ranks : {1, 2}) {
    if (ranks > backend::cuda::count_gpus()) continue;  // on a machine with fewer
    for (const TinyKind kind : {TinyKind::llama, TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
      const support::TemporaryFolder folder;
      support::write_tiny_model(kind, folder.path());
      const Comparison comparison = compare(folder.string(), tiny_prompts(kind, 24), ranks, ranks == 1 ? 512 : 100);
      report(std::string(support::name(kind)) + ", " + std::to_string(ranks) + " ranks", comparison);
      CHECK(comparison.different == 0);
      CHECK(comparison.largest_error < kTolerance);
      CHECK(comparison.determined() > comparison.steps / 2);
    }
  }
}

TEST_CASE("the shipped judge on the emulated GPU takes the CPU's tokens wherever bf16 determines them") {
  for (const int ranks : {1, 2}) {
    if (ranks > backend::cuda::count_gpus()) continue;  // on a machine with fewer
    compare_shipped(ranks, ranks == 1 ? 20 : 4, 24);
  }
}

TEST_CASE("the shipped judge on the emulated GPU takes the CPU's tokens to the end of its texts", "[.long]") {
  for (const int ranks : {1, 2}) {
    if (ranks > backend::cuda::count_gpus()) continue;
    compare_shipped(ranks, 20, 1000);
  }
}

TEST_CASE("a comparison counts what differs, and forgives it only at a near-tie") {
  const std::vector<Step> cpu = {{7, -0.1f, -3.0f}, {8, -0.6f, -0.8f}, {9, -0.2f, -2.0f}, {5, -0.1f, -0.6f}};
  std::vector<Step> ours = cpu;
  ours[1].id = 4;
  Comparison tied;
  tied.add(ours, cpu, kTolerance);
  CHECK(tied.equal == 3);
  CHECK(tied.near_ties == 1);
  CHECK(tied.led == 2);
  CHECK(tied.different == 0);
  ours[3].id = 4;  // its margin is the tolerance itself
  Comparison wrong;
  wrong.add(ours, cpu, kTolerance);
  CHECK(wrong.different == 1);
  CHECK(wrong.equal == 2);
}
