// The engine with real (tiny) judges on the CPU backend.
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/noise.h"
#include "engine/build_input.h"
#include "engine/engine.h"
#include "model/tiny_judge.h"
#include "random_calls.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace assize;
using namespace assize::engine;
using nlohmann::json;
using support::TinyKind;

namespace {

using Generations = std::map<std::uint64_t, Generation>;

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer made = text::Tokenizer::parse(support::tiny_tokenizer_json(), "tiny");
  return made;
}

/// Ranks on threads of their own ask for it at once.
const std::string& folder_of(TinyKind kind) {
  struct Judge {
    support::TemporaryFolder folder;
    std::string path;
  };
  static std::mutex mutex;
  static std::map<TinyKind, Judge> judges;
  const std::lock_guard lock(mutex);
  const auto [judge, fresh] = judges.try_emplace(kind);
  if (fresh) {
    judge->second.path = judge->second.folder.string();
    support::write_tiny_model(kind, judge->second.path);
  }
  return judge->second.path;
}

EngineSettings ample() {
  EngineSettings settings;
  settings.kv_blocks = 200;
  settings.image_patches = 512;
  settings.embedding_rows = 256;
  return settings;
}

/// Many small differences from `ample`, each of which must not matter.
std::vector<EngineSettings> other_settings() {
  std::vector<EngineSettings> all(5, ample());
  all[0].step_rows = 37;
  all[0].slots = 3;
  all[1].kv_blocks = 12;
  all[1].embedding_rows = 128;
  all[2].step_rows = 150;
  all[2].prefix_sharing = false;
  all[3].fork = false;
  all[3].encoder_cache = false;
  all[4].grouped_attention = false;
  all[4].slots = 7;
  return all;
}

Generations run(TinyKind kind, comm::Comm& group, const std::vector<Call>& calls,
                const EngineSettings& settings) {
  const auto backend = backend::make_cpu_backend(group, {.threads = 1});
  const model::ModelConfig config = model::read_config(folder_of(kind));
  const auto model = model::load_model(folder_of(kind), config,
                                       {.step_rows = settings.step_rows,
                                        .sample_rows = settings.slots,
                                        .kv_blocks = settings.kv_blocks,
                                        .image_patches = settings.image_patches,
                                        .embedding_rows = settings.embedding_rows},
                                       *backend);
  const auto engine = make_engine(*model, tokenizer(), settings);
  engine->submit(calls);
  std::vector<Generation> finished;
  while (engine->step(finished)) {
  }
  Generations out;
  for (Generation& generation : finished) out[generation.id] = std::move(generation);
  return out;
}

Generations run(TinyKind kind, const std::vector<Call>& calls, const EngineSettings& settings) {
  const auto alone = comm::make_alone();
  return run(kind, *alone, calls, settings);
}

void require_equal(const Generations& a, const Generations& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [id, expected] : a) {
    const Generation& got = b.at(id);
    INFO("call " << id << ": " << got.error);
    REQUIRE(got.ids == expected.ids);
    REQUIRE(got.text == expected.text);
    REQUIRE(got.finish == expected.finish);
    REQUIRE(got.sum_logprob == expected.sum_logprob);
    REQUIRE(got.watch_logprobs == expected.watch_logprobs);
    REQUIRE(got.top_logprobs.size() == expected.top_logprobs.size());
    for (std::size_t i = 0; i < got.top_logprobs.size(); ++i) {
      for (std::size_t k = 0; k < got.top_logprobs[i].size(); ++k) {
        REQUIRE(got.top_logprobs[i][k].id == expected.top_logprobs[i].at(k).id);
        REQUIRE(got.top_logprobs[i][k].logprob == expected.top_logprobs[i][k].logprob);
      }
    }
  }
}

/// Two suites' worth of calls: groups that share a system prompt, orders, votes and (vision) pictures.
std::vector<Call> judge_calls(TinyKind kind) {
  RandomCalls random(static_cast<std::uint64_t>(kind) + 50);
  const model::ModelConfig config = model::read_config(folder_of(kind));
  std::vector<Call> calls;
  const auto picture = [&](int number) {
    auto image = test::golden_picture("engine", number, {1, 4 + 2 * number, 8});
    image.key = {7, static_cast<std::uint64_t>(number)};
    return std::make_shared<const media::ImagePatches>(std::move(image));
  };
  const std::vector<std::shared_ptr<const media::ImagePatches>> images{picture(0), picture(1)};
  const auto words = [&](int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(random.between('a', 'z'));
    return text;
  };
  const std::string system = words(90);
  for (int group = 0; group < 3; ++group) {
    Pictures pictures;
    std::string question = system;
    if (kind == TinyKind::qwen2_5_vl) {
      question += "<|vision_start|><|image_pad|><|vision_end|>";
      pictures.push_back(images[group % 2]);
    }
    question += words(40);
    for (int order = 0; order < 2; ++order) {
      const text::PromptText prompt(question + words(30 + 40 * order), text::Trust::trusted);
      const auto input =
          std::make_shared<model::ModelInput>(build_input(config, tokenizer(), prompt, pictures));
      for (int vote = 0; vote < 3; ++vote) {
        Call call;
        call.id = calls.size();
        call.input = input;
        call.sampling.temperature = vote == 2 ? 0.0f : 0.7f;
        call.sampling.top_p = vote == 1 ? 0.95f : 1.0f;
        call.sampling.repetition_penalty = group == 2 ? 1.05f : 1.0f;
        call.sampling.max_new_tokens = 20 + 10 * group;
        call.sampling.stop_ids = config.stop_ids;
        call.noise_stream = base::noise_stream(7, base::hash128(std::to_string(call.id)));
        call.watch_ids = {'A', 'B'};
        call.top_logprobs = order == 0 ? 3 : 0;
        calls.push_back(std::move(call));
      }
    }
  }
  return calls;
}

}  // namespace

TEST_CASE("a batch of the reference implementation's prompts gives its greedy tokens") {
  for (const TinyKind kind : {TinyKind::llama, TinyKind::llama3, TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
    const model::ModelConfig config = model::read_config(folder_of(kind));
    const json golden = json::parse(base::read_file(support::source_dir() + "/tests/golden/model_" +
                                                    std::string(support::name(kind)) + ".json"));
    std::vector<Call> calls;
    std::vector<std::vector<std::int32_t>> expected;
    for (const json& prompt : golden.at("prompts")) {
      const auto ids = prompt.at("ids").get<std::vector<std::int32_t>>();
      Pictures pictures;
      for (const auto& grid : prompt.at("grids").get<std::vector<std::array<std::int32_t, 3>>>()) {
        auto image = test::golden_picture(prompt.at("name"), pictures.size(), grid);
        image.key = base::hash128(prompt.at("name").get<std::string>() + std::to_string(pictures.size()));
        pictures.push_back(std::make_shared<const media::ImagePatches>(std::move(image)));
      }
      std::vector<std::int32_t> with_one_placeholder;
      for (const std::int32_t id : ids) {
        const bool repeats =
            id == config.image_token_id && !with_one_placeholder.empty() && with_one_placeholder.back() == id;
        if (!repeats) with_one_placeholder.push_back(id);
      }
      Call call;
      call.id = calls.size();
      call.input = std::make_shared<model::ModelInput>(build_input(config, with_one_placeholder, pictures));
      REQUIRE(call.input->ids == ids);
      call.sampling.max_new_tokens = 64;
      calls.push_back(std::move(call));
      expected.push_back(prompt.at("greedy").get<std::vector<std::int32_t>>());
    }
    for (const std::int32_t step_rows : {512, 100}) {
      EngineSettings settings = ample();
      settings.step_rows = step_rows;
      const Generations got = run(kind, calls, settings);
      for (std::size_t i = 0; i < calls.size(); ++i) {
        INFO(support::name(kind) << ": " << golden["prompts"][i]["name"] << ": " << got.at(i).error);
        REQUIRE(got.at(i).ids == expected[i]);
      }
    }
  }
}

TEST_CASE("limits, switches and company change no bit") {
  for (const TinyKind kind : {TinyKind::qwen2, TinyKind::qwen2_5_vl}) {
    const std::vector<Call> calls = judge_calls(kind);
    const Generations together = run(kind, calls, ample());
    REQUIRE(together.size() == calls.size());
    for (const EngineSettings& settings : other_settings())
      require_equal(together, run(kind, calls, settings));
    for (const std::size_t i : {std::size_t{0}, std::size_t{4}, calls.size() - 1}) {
      require_equal({{i, together.at(i)}}, run(kind, {calls[i]}, ample()));
    }
    std::vector<Call> reversed(calls.rbegin(), calls.rend());
    require_equal(together, run(kind, reversed, ample()));
  }
}

TEST_CASE("the ranks of a group run in step and say what one rank says") {
  const TinyKind kind = TinyKind::qwen2_5_vl;
  const std::vector<Call> calls = judge_calls(kind);
  const Generations alone = run(kind, calls, ample());
  std::mutex mutex;
  std::vector<Generations> by_rank;
  test::on_ranks(2, [&](comm::Comm& group) {
    Generations got = run(kind, group, calls, ample());
    const std::lock_guard lock(mutex);
    by_rank.push_back(std::move(got));
  });
  REQUIRE(by_rank.size() == 2);
  for (const Generations& got : by_rank) require_equal(alone, got);
}

TEST_CASE("votes differ from each other, greedy calls do not") {
  const TinyKind kind = TinyKind::llama;
  const model::ModelConfig config = model::read_config(folder_of(kind));
  const text::PromptText prompt("Which answer is better?", text::Trust::trusted);
  const auto input = std::make_shared<model::ModelInput>(build_input(config, tokenizer(), prompt, {}));
  std::vector<Call> calls(8);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].id = i;
    calls[i].input = input;
    calls[i].sampling.max_new_tokens = 24;
    calls[i].sampling.temperature = i < 5 ? 0.7f : 0.0f;
    calls[i].noise_stream = base::noise_stream(1, base::hash128(std::to_string(i)));
  }
  const Generations got = run(kind, calls, ample());
  std::set<std::vector<std::int32_t>> votes, greedy;
  for (const auto& [id, generation] : got) (id < 5 ? votes : greedy).insert(generation.ids);
  REQUIRE(votes.size() == 5);
  REQUIRE(greedy.size() == 1);
  require_equal(got, run(kind, calls, ample()));
}
