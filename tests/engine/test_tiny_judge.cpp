#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/noise.h"
#include "engine/build_input.h"
#include "engine/engine.h"
#include "media/patches.h"
#include "model/tiny_judge.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace assize;
using namespace assize::engine;
using nlohmann::json;
using support::TinyKind;

namespace {

const std::string golden_folder = support::source_dir() + "/tests/golden/";

json golden(const std::string& name) {
  return json::parse(base::read_file(golden_folder + "model_" + name + ".json"));
}

EngineSettings ample() {
  EngineSettings settings;
  settings.step_rows = 256;
  settings.slots = 16;
  settings.kv_blocks = 128;
  settings.image_patches = 512;
  settings.embedding_rows = 256;
  return settings;
}

/// A tiny judge with its engine on one rank.
class EngineJudge {
 public:
  EngineJudge(const support::TemporaryFolder& folder, comm::Comm& group, const EngineSettings& settings)
      : config(model::read_config(folder.string())),
        tokenizer(text::Tokenizer::load(folder.path() / "tokenizer.json")),
        backend_(backend::make_cpu_backend(group, {.threads = 1})),
        model_(model::load_model(folder.string(), config,
                                 {.step_rows = settings.step_rows,
                                  .sample_rows = settings.slots,
                                  .kv_blocks = settings.kv_blocks,
                                  .image_patches = settings.image_patches,
                                  .embedding_rows = settings.embedding_rows},
                                 *backend_)),
        engine_(make_engine(*model_, tokenizer, settings)) {}

  /// The finished generations of all calls, by id.
  std::map<std::uint64_t, Generation> run(std::vector<Call> calls) {
    std::vector<Generation> finished;
    engine_->submit(std::move(calls));
    while (engine_->step(finished)) {
    }
    std::map<std::uint64_t, Generation> by_id;
    for (Generation& generation : finished) by_id[generation.id] = std::move(generation);
    return by_id;
  }
  const EngineCounters& counters() const { return engine_->counters(); }

  model::ModelConfig config;
  text::Tokenizer tokenizer;

 private:
  std::unique_ptr<backend::Backend> backend_;
  std::unique_ptr<model::Model> model_;
  std::unique_ptr<Engine> engine_;
};

/// The input of a golden prompt, whose ids hold the placeholder of a picture once for each token.
std::shared_ptr<const model::ModelInput> golden_input(const model::ModelConfig& config, const json& prompt) {
  Pictures pictures;
  for (const json& grid : prompt.at("grids")) {
    auto picture = test::golden_picture(prompt.at("name"), pictures.size(), grid);
    picture.key = base::hash128(std::as_bytes(std::span(picture.values)));
    pictures.push_back(std::make_shared<const media::ImagePatches>(std::move(picture)));
  }
  auto ids = prompt.at("ids").get<std::vector<std::int32_t>>();
  const auto repeated = [](std::int32_t a, std::int32_t b) { return a == b && a == support::tiny_image_pad; };
  ids.erase(std::unique(ids.begin(), ids.end(), repeated), ids.end());
  return std::make_shared<const model::ModelInput>(build_input(config, ids, pictures));
}

/// Every golden prompt of a kind once greedily, and three votes on it at temperature 0.7.
std::vector<Call> golden_calls(const model::ModelConfig& config, const json& prompts) {
  std::vector<Call> calls;
  for (const json& prompt : prompts) {
    const auto input = golden_input(config, prompt);
    for (std::uint64_t vote = 0; vote < 4; ++vote) {
      Call call;
      call.id = calls.size();
      call.input = input;
      call.sampling.max_new_tokens = vote == 0 ? 64 : 20;
      call.sampling.temperature = vote == 0 ? 0.0f : 0.7f;
      call.sampling.top_p = 0.95f;
      call.noise_stream = base::noise_stream(7, base::hash128("call " + std::to_string(call.id)));
      calls.push_back(call);
    }
  }
  return calls;
}

void check_equal(const std::map<std::uint64_t, Generation>& a, const std::map<std::uint64_t, Generation>& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [id, generation] : a) {
    INFO("call " << id << " " << generation.error);
    CHECK(generation.ids == b.at(id).ids);
    CHECK(generation.sum_logprob == b.at(id).sum_logprob);  // to the last bit
  }
}

}  // namespace

TEST_CASE("greedy generations of the engine equal the reference implementation") {
  const auto alone = comm::make_alone();
  for (const TinyKind kind : {TinyKind::llama, TinyKind::llama3, TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
    const support::TemporaryFolder folder;
    support::write_tiny_model(kind, folder.path());
    EngineJudge judge(folder, *alone, ample());
    const json expected = golden(std::string(support::name(kind)));
    const json& prompts = expected.at("prompts");
    const auto generations = judge.run(golden_calls(judge.config, prompts));
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const Generation& greedy = generations.at(4 * i);
      INFO(support::name(kind) << ": " << prompts[i].at("name") << " " << greedy.error);
      CHECK(greedy.finish == FinishReason::length);
      CHECK(greedy.ids == prompts[i].at("greedy").get<std::vector<std::int32_t>>());
    }
  }
}

TEST_CASE("votes and greedy generations have the same bits under any limits and on any number of ranks") {
  const auto alone = comm::make_alone();
  const support::TemporaryFolder folder;
  support::write_tiny_model(TinyKind::qwen2_5_vl, folder.path());
  const json expected = golden("qwen2_5_vl");
  EngineJudge judge(folder, *alone, ample());
  const auto calls = golden_calls(judge.config, expected.at("prompts"));
  const auto generations = judge.run(calls);
  CHECK(generations.at(1).ids != generations.at(2).ids);  // votes differ

  EngineSettings small_steps = ample();
  small_steps.step_rows = 37;
  EngineSettings little_memory = ample();
  little_memory.kv_blocks = 8;
  CHECK(judge.counters().kv_blocks_high_water > 2 * little_memory.kv_blocks);
  EngineSettings nothing_shared = ample();
  nothing_shared.prefix_sharing = nothing_shared.fork = false;
  nothing_shared.grouped_attention = nothing_shared.encoder_cache = false;
  for (const EngineSettings& settings : {small_steps, little_memory, nothing_shared}) {
    EngineJudge other(folder, *alone, settings);
    auto backwards = calls;
    std::reverse(backwards.begin(), backwards.end());
    check_equal(other.run(backwards), generations);
  }
  for (const int ranks : {2, 4}) {
    std::vector<std::map<std::uint64_t, Generation>> seen(static_cast<std::size_t>(ranks));
    test::on_ranks(ranks, [&](comm::Comm& group) {
      EngineJudge part(folder, group, small_steps);
      seen[static_cast<std::size_t>(group.rank())] = part.run(calls);
    });
    for (const auto& of_rank : seen) check_equal(of_rank, generations);
  }
}

TEST_CASE("from picture files to greedy tokens as the reference implementation") {
  const auto alone = comm::make_alone();
  const support::TemporaryFolder folder;
  support::write_tiny_model(TinyKind::qwen2_5_vl, folder.path());
  EngineJudge judge(folder, *alone, ample());
  const auto preprocessing = media::read_preprocessing(folder.path());
  const json expected = golden("picture_files");
  std::vector<Call> calls;
  for (const json& row : expected) {
    Pictures pictures;
    for (const json& file : row.at("files")) {
      pictures.push_back(std::make_shared<const media::ImagePatches>(
          media::load_image_patches(golden_folder + "pixels/" + file.get<std::string>(), preprocessing)));
    }
    const text::PromptText prompt(row.at("prompt").get<std::string>(), text::Trust::trusted);
    Call call;
    call.id = calls.size();
    call.input = std::make_shared<const model::ModelInput>(
        build_input(judge.config, judge.tokenizer, prompt, pictures));
    call.sampling.max_new_tokens = 64;
    CHECK(call.input->ids == row.at("ids").get<std::vector<std::int32_t>>());
    calls.push_back(call);
  }
  const auto generations = judge.run(calls);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(generations.at(i).ids == expected[i].at("greedy").get<std::vector<std::int32_t>>());
  }
}
