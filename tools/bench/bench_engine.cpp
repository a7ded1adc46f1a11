// The whole engine with the shipped judge, each technique switched off in turn: on votes in both orders over prompts
// with a common beginning, and on calls that share nothing. What is computed depends on nothing but the calls, so that
// instructions can be counted (tools/bench/ablation --callgrind).
#include "bench_backend.h"
#include "engine/build_input.h"
#include "engine/engine.h"
#include "media/patches.h"
#include "media/preprocessor.h"
#include "model/model.h"

namespace assize::bench {

/// Has `engine` answer `calls`. A function of its own, with this name: callgrind counts what is inside it.
__attribute__((noinline)) void answer_all(engine::Engine& engine, const std::vector<engine::Call>& calls,
                                          std::vector<engine::Generation>& finished) {
  engine.submit(calls);
  while (engine.step(finished)) {
  }
}

namespace {

constexpr const char* kJudge = ASSIZE_BENCH_JUDGE;
constexpr std::int32_t kGroups = 2, kPromptTokens = 160, kCommonTokens = 96, kOutputTokens = 8, kVotes = 5, kSide = 56;
constexpr std::int32_t kTextIds = 400;  ///< ids below are those of text in the shipped judge

enum class Workload { votes, alone };

struct Noise {
  std::uint32_t state;
  std::uint32_t next() { return (state = state * 1664525u + 1013904223u) >> 8; }
};

std::shared_ptr<const media::ImagePatches> picture(const media::ImagePreprocessing& preprocessing, std::uint32_t seed) {
  media::Image image{kSide, kSide, std::vector<std::uint8_t>(std::size_t{3} * kSide * kSide)};
  Noise noise{seed};
  for (std::uint8_t& value : image.rgb) value = static_cast<std::uint8_t>(noise.next());
  auto patches = std::make_shared<media::ImagePatches>(media::make_patches(image, preprocessing));
  patches->key = {seed, 1};
  return patches;
}

std::vector<engine::Call> calls(Workload workload, const model::ModelConfig& config, const media::ImagePreprocessing& preprocessing) {
  const bool shares = workload == Workload::votes;
  std::vector<engine::Call> all;
  for (std::int32_t group = 0; group < kGroups; ++group) {
    const auto shown = picture(preprocessing, static_cast<std::uint32_t>(group + 1));
    for (std::int32_t order = 0; order < (shares ? 2 : 1); ++order) {
      std::vector<std::int32_t> ids;
      Noise common{7}, own{static_cast<std::uint32_t>(100 + 2 * group + order)};
      for (std::int32_t i = 0; i < kPromptTokens; ++i)
        ids.push_back(static_cast<std::int32_t>((shares && i < kCommonTokens ? common : own).next() % kTextIds));
      // Behind what the orders have of their own, so that no shared prefix has the picture in it.
      ids.insert(ids.end() - 1, {config.vision_start_token_id, config.image_token_id});
      const auto input = std::make_shared<const model::ModelInput>(engine::build_input(config, ids, {shown}));
      for (std::int32_t vote = 0; vote < (shares ? kVotes : 1); ++vote) {
        engine::Call call;
        call.id = all.size();
        call.input = input;
        call.noise_stream = call.id;
        call.sampling.temperature = 0.7f;
        call.sampling.top_p = 0.95f;
        call.sampling.max_new_tokens = kOutputTokens;
        all.push_back(std::move(call));
      }
    }
  }
  return all;
}

void run(benchmark::State& state, Workload workload, bool engine::EngineSettings::* off) {
  Bench bench(1);
  const model::ModelConfig config = model::read_config(kJudge);
  const media::ImagePreprocessing preprocessing = media::read_preprocessing(kJudge, media::ImageProcessorChoice::as_configured);
  const text::Tokenizer tokenizer = text::Tokenizer::load(std::string(kJudge) + "/tokenizer.json");
  const std::vector<engine::Call> work = calls(workload, config, preprocessing);
  engine::EngineSettings settings;
  settings.kv_blocks = 256;
  settings.image_patches = static_cast<std::int32_t>(work.front().input->media.front().image->rows());
  settings.embedding_rows = 64 * settings.image_patches;
  if (off) settings.*off = false;
  model::ModelLimits limits;
  limits.step_rows = settings.step_rows;
  limits.sample_rows = settings.slots;
  limits.kv_blocks = settings.kv_blocks;
  limits.image_patches = settings.image_patches;
  limits.embedding_rows = settings.embedding_rows;
  const auto model = model::load_model(kJudge, config, limits, *bench.backend);
  std::vector<engine::Generation> finished;
  for (auto _ : state) {
    state.PauseTiming();
    finished.clear();
    const auto engine = engine::make_engine(*model, tokenizer, settings);
    state.ResumeTiming();
    answer_all(*engine, work, finished);
  }
  for (const engine::Generation& generation : finished)
    if (generation.finish != engine::FinishReason::length)
      state.SkipWithError(("a call ended early: " + generation.error).c_str());
}

const int registered = [] {
  using Settings = engine::EngineSettings;
  const std::pair<const char*, bool Settings::*> switches[] = {{"all_on", nullptr},
                                                               {"prefix_sharing_off", &Settings::prefix_sharing},
                                                               {"fork_off", &Settings::fork},
                                                               {"grouped_attention_off", &Settings::grouped_attention},
                                                               {"encoder_cache_off", &Settings::encoder_cache}};
  for (const auto& [workload, name] : {std::pair{Workload::votes, "votes/"}, std::pair{Workload::alone, "alone/"}})
    for (const auto& [switched, off] : switches)
      benchmark::RegisterBenchmark((std::string(name) + switched).c_str(), run, workload, off)->Unit(benchmark::kMillisecond);
  return 0;
}();

}  // namespace

}  // namespace assize::bench
