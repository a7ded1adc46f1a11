#include "cluster/engine_judge.h"

#include <deque>
#include <filesystem>
#include <future>

#include "base/error.h"
#include "support/catch.h"
#include "support/paths.h"
#include "tests/cluster/made_up_run.h"

using namespace assize;
using namespace assize::cluster;

namespace {

/// Ends one call a step, in the order of submission, in the way that `ways` says for it.
class ScriptedEngine final : public engine::Engine {
 public:
  std::vector<engine::Call> seen;
  std::vector<engine::FinishReason> ways;

  void submit(std::vector<engine::Call> calls) override {
    for (engine::Call& call : calls) {
      seen.push_back(call);
      open_.push_back(std::move(call));
    }
  }
  void cancel(std::uint64_t id) override {
    std::erase_if(open_, [&](const engine::Call& call) { return call.id == id; });
  }
  bool step(std::vector<engine::Generation>& finished) override {
    if (open_.empty()) return false;
    const engine::Call call = std::move(open_.front());
    open_.pop_front();
    engine::Generation generation;
    generation.id = call.id;
    generation.ids = {1, 2, static_cast<std::int32_t>(call.noise_stream % 1000)};
    generation.text = "text " + std::to_string(call.noise_stream);
    generation.finish = call.id < ways.size() ? ways[call.id] : engine::FinishReason::stop;
    if (generation.finish == engine::FinishReason::error) generation.error = "engine reason";
    generation.sum_logprob = -2.5;
    generation.watch_logprobs.assign(call.watch_ids.size(), -1.0f);
    generation.prompt_tokens = static_cast<std::int32_t>(call.input->ids.size());
    generation.prefilled_tokens = 1;
    counters_.output_tokens += 3;
    finished.push_back(std::move(generation));
    return true;
  }
  std::size_t unfinished() const override { return open_.size(); }
  const engine::EngineCounters& counters() const override { return counters_; }

 private:
  std::deque<engine::Call> open_;
  engine::EngineCounters counters_;
};

text::Tokenizer tokenizer() {
  return text::Tokenizer::load(std::filesystem::path(support::source_dir()) / "tests/golden/tokenizer_small_qwen.json");
}

model::ModelInput five_tokens(const WorkPrompt&, const engine::Pictures&) {
  model::ModelInput input;
  input.ids = {1, 2, 3, 4, 5};
  return input;
}

media::ImagePatches any_picture(const std::string&, media::ImageSizing) { return {}; }

std::vector<results::Judgement> run_out(Judge& judge) {
  std::vector<results::Judgement> finished;
  while (judge.step(finished)) {
  }
  return finished;
}

}  // namespace

TEST_CASE("calls reach the engine with their prompt, noise and sampling, and come back as rows") {
  ScriptedEngine engine;
  media::PictureLoader loader(any_picture, 0, 1);
  CallSettings settings;
  settings.sampling.temperature = 0.5f;
  settings.sampling.max_new_tokens = 77;
  EngineJudge judge(engine, tokenizer(), loader, five_tokens, settings, 8, Entering::as_loaded);
  const WorkItem item = support::item_number(1);
  judge.submit(item);
  CHECK(judge.unfinished() == 4);
  REQUIRE(engine.seen.size() == 4);
  CHECK(engine.seen[0].input == engine.seen[1].input);  // votes share the prompt
  CHECK(engine.seen[0].input != engine.seen[2].input);  // orders do not
  CHECK(engine.seen[0].sampling.max_new_tokens == 77);
  const auto rows = run_out(judge);
  REQUIRE(rows.size() == 4);
  CHECK(judge.unfinished() == 0);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(engine.seen[i].noise_stream == item.calls[i].noise_stream);
    CHECK(rows[i].key == item.calls[i].key);
    CHECK(rows[i].asked == item.prompts[item.calls[i].prompt].asked);
    CHECK(rows[i].status == results::Status::ok);
    CHECK(rows[i].error.empty());
    CHECK(rows[i].text == "text " + std::to_string(item.calls[i].noise_stream));
    CHECK(rows[i].token_ids.size() == 3);
    CHECK(rows[i].sum_logprob == -2.5);
    CHECK(rows[i].prompt_tokens == 5);
    CHECK(rows[i].prefilled_tokens == 1);
  }
  CHECK(judge.counters().output_tokens == 12);
}

TEST_CASE("each way to end has its status and reason") {
  ScriptedEngine engine;
  media::PictureLoader loader(any_picture, 0, 1);
  using engine::FinishReason;
  engine.ways = {FinishReason::length, FinishReason::too_long, FinishReason::bad_numbers, FinishReason::error};
  EngineJudge judge(engine, tokenizer(), loader, five_tokens, {}, 8, Entering::as_loaded);
  judge.submit(support::item_number(1));
  const auto rows = run_out(judge);
  REQUIRE(rows.size() == 4);
  CHECK(rows[0].status == results::Status::truncated);
  CHECK(rows[0].text.substr(0, 5) == "text ");
  for (std::size_t i : {1u, 2u, 3u}) {
    CHECK(rows[i].status == results::Status::failed);
    CHECK(rows[i].text.empty());
    CHECK(rows[i].token_ids.empty());
  }
  CHECK(rows[1].error.find("prompt of 5 tokens is longer") != std::string::npos);
  CHECK(rows[2].error.find("NaN") != std::string::npos);
  CHECK(rows[3].error == "engine reason");
}

TEST_CASE("a prompt that cannot be built fails its own calls only") {
  ScriptedEngine engine;
  media::PictureLoader loader(any_picture, 0, 1);
  const auto build = [](const WorkPrompt& prompt, const engine::Pictures& pictures) {
    if (prompt.text.plain().find("order 1") != std::string::npos) throw base::Error("/pictures/1.png: is no picture");
    return five_tokens(prompt, pictures);
  };
  EngineJudge judge(engine, tokenizer(), loader, build, {}, 8, Entering::as_loaded);
  judge.submit(support::item_number(1));
  CHECK(judge.unfinished() == 4);
  CHECK(engine.seen.size() == 2);
  int failed = 0;
  for (const auto& row : run_out(judge)) {
    if (row.status != results::Status::failed) continue;
    ++failed;
    CHECK(row.key.presentation[0] == 1);
    CHECK(row.error == "/pictures/1.png: is no picture");
  }
  CHECK(failed == 2);
}

TEST_CASE("labels are watched by their first token, and one position is no truncation") {
  const text::Tokenizer tokens = tokenizer();
  ScriptedEngine engine;
  media::PictureLoader loader(any_picture, 0, 1);
  engine.ways = std::vector<engine::FinishReason>(4, engine::FinishReason::length);
  CallSettings settings;
  settings.watch_labels = {"A", "B"};
  EngineJudge judge(engine, tokens, loader, five_tokens, settings, 8, Entering::as_loaded);
  judge.submit(support::item_number(1));
  CHECK(engine.seen[0].watch_ids == std::vector<std::int32_t>{tokens.encode("A", text::SpecialTokens::as_text)[0],
                                                              tokens.encode("B", text::SpecialTokens::as_text)[0]});
  for (const auto& row : run_out(judge)) {
    CHECK(row.status == results::Status::ok);
    CHECK(row.watch_logprobs == std::vector<float>{-1, -1});
  }
  CHECK_THROWS_AS(first_tokens(tokens, {"A", "A"}), base::Error);
  CHECK_THROWS_AS(first_tokens(tokens, {"A", ""}), base::Error);
}

TEST_CASE("cancelled calls give no rows") {
  ScriptedEngine engine;
  media::PictureLoader loader(any_picture, 0, 1);
  EngineJudge judge(engine, tokenizer(), loader, five_tokens, {}, 8, Entering::as_loaded);
  judge.submit(support::item_number(1));
  judge.cancel_all();
  CHECK(judge.unfinished() == 0);
  CHECK(engine.unfinished() == 0);
  CHECK(run_out(judge).empty());
  judge.submit(support::item_number(2));
  judge.cancel(base::digest(support::item_number(2).calls[1].key));
  judge.cancel(base::Hash128{1, 2});  // nobody's
  CHECK(engine.unfinished() == 3);
  CHECK(run_out(judge).size() == 3);
}

TEST_CASE("an item waits for its pictures while the engine works on those before it") {
  ScriptedEngine engine;
  std::promise<void> gate;
  const auto open = gate.get_future().share();
  media::PictureLoader loader([&](const std::string&, media::ImageSizing) { open.wait(); return media::ImagePatches{}; }, 1, 1000);
  EngineJudge judge(engine, tokenizer(), loader, five_tokens, {}, 8, Entering::as_loaded);
  judge.submit(support::item_number(1));  // without pictures
  judge.submit(support::item_number(3));
  judge.submit(support::item_number(2));
  CHECK(engine.seen.size() == 4);
  CHECK(judge.unfinished() == 12);
  std::vector<results::Judgement> finished;
  for (int step = 0; step < 3; ++step) CHECK(judge.step(finished));
  CHECK(engine.seen.size() == 4);
  CHECK(finished.size() == 3);
  gate.set_value();
  // With one call left in the engine or none, the others come when the picture is there.
  while (judge.step(finished)) {
  }
  REQUIRE(finished.size() == 12);
  CHECK(finished[4].key.sample_id == "s3");
  CHECK(finished[8].key.sample_id == "s2");
  CHECK(judge.unfinished() == 0);
}

TEST_CASE("a group of several ranks has every item in the engine before its next step") {
  ScriptedEngine engine;
  media::PictureLoader loader(any_picture, 1, 1);
  EngineJudge judge(engine, tokenizer(), loader, five_tokens, {}, 8, Entering::at_once);
  for (const int item : {1, 3, 6, 9}) judge.submit(support::item_number(static_cast<std::uint64_t>(item)));
  std::vector<results::Judgement> finished;
  judge.step(finished);
  CHECK(engine.seen.size() == 16);
}

TEST_CASE("a picture that cannot be loaded fails the calls that show it, and cancelled items want none") {
  ScriptedEngine engine;
  const auto load = [](const std::string& path, media::ImageSizing) -> media::ImagePatches { throw base::Error(path + ": is no picture"); };
  media::PictureLoader loader(load, 1, 1000);
  EngineJudge judge(engine, tokenizer(), loader, five_tokens, {}, 8, Entering::as_loaded);
  judge.submit(support::item_number(3));
  const auto rows = run_out(judge);
  REQUIRE(rows.size() == 4);
  for (const auto& row : rows) {
    CHECK(row.status == results::Status::failed);
    CHECK(row.error == "/pictures/3.png: is no picture");
  }
  CHECK(engine.seen.empty());

  std::promise<void> gate;
  const auto open = gate.get_future().share();
  media::PictureLoader slow([&](const std::string&, media::ImageSizing) { open.wait(); return media::ImagePatches{}; }, 1, 1000);
  EngineJudge cancelled(engine, tokenizer(), slow, five_tokens, {}, 8, Entering::as_loaded);
  cancelled.submit(support::item_number(3));
  cancelled.submit(support::item_number(6));
  cancelled.cancel(base::digest(support::item_number(6).calls[0].key));
  CHECK(cancelled.unfinished() == 7);
  cancelled.cancel_all();
  CHECK(cancelled.unfinished() == 0);
  gate.set_value();
  CHECK(run_out(cancelled).empty());
}
