#include <map>

#include "engine/scheduler.h"
#include "fake_model.h"
#include "random_calls.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

namespace {

constexpr std::int32_t kMaxPositions = 500;

/// Runs calls through a scheduler and the fake without text; `churn` of 10 steps remove a random call.
void drive(std::uint64_t seed, int churn) {
  RandomCalls random(seed);
  const auto calls = random.judge_calls(random.between(1, 5), 120, 50);
  EngineSettings settings;
  settings.step_rows = random.between(1, 300);
  settings.slots = random.between(1, 32);
  settings.kv_blocks = random.between(12, 60);
  settings.embedding_rows = random.between(20, 60);
  Scheduler scheduler(settings, kMaxPositions, 512);
  FakeModel model(settings.kv_blocks, settings.step_rows, settings.embedding_rows, kMaxPositions);
  std::map<std::uint64_t, std::unique_ptr<Sequence>> sequences;
  for (const Call& call : calls) {
    if (call.input->ids.size() >= std::size_t(kMaxPositions) || !scheduler.fits(call.input->ids.size()))
      continue;
    auto sequence = std::make_unique<Sequence>();
    sequence->call = call;
    sequence->order = call.id;
    scheduler.add(*sequence);
    sequences[call.id] = std::move(sequence);
  }
  StepWork work;
  std::vector<Sequence*> failed;
  std::vector<backend::SampleResult> results(settings.slots);
  const auto remove = [&](Sequence& sequence) {
    scheduler.remove(sequence);
    sequences.erase(sequence.call.id);
  };
  while (scheduler.plan(work, failed)) {
    REQUIRE(failed.empty());
    for (const auto& picture : work.pictures) model.encode_image(*picture.image, picture.embedding_row);
    for (const auto& copy : work.copies) model.copy_block(copy.from, copy.to, copy.tokens);
    model.forward(work.plan, std::span(results).first(work.sampled.size()));
    for (std::size_t i = 0; i < work.sampled.size(); ++i) {
      Sequence& sequence = *work.sampled[i];
      sequence.append(results[i]);
      const bool full = sequence.prompt_tokens() + sequence.generated() >= kMaxPositions;
      if (full || sequence.generated() == sequence.call.sampling.max_new_tokens) remove(sequence);
    }
    if (random.between(0, 9) < churn && !sequences.empty()) {
      remove(*std::next(sequences.begin(), random.between(0, std::int32_t(sequences.size()) - 1))->second);
    }
    REQUIRE(model.steps < 100000);
  }
  REQUIRE(sequences.empty());
  REQUIRE(scheduler.blocks().in_use() == 0);
}

}  // namespace

TEST_CASE("no block is lost") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) drive(seed, 0);
  for (std::uint64_t seed = 101; seed <= 200; ++seed) drive(seed, 4);
}

TEST_CASE("a prompt is computed in one step with its first token where it fits") {
  RandomCalls random(1);
  RandomCalls::Prompt prompt;
  random.add_text(prompt, 129);
  Call call;
  call.input = prompt.input();
  for (const std::int32_t step_rows : {129, 100}) {
    EngineSettings settings;
    settings.step_rows = step_rows;
    settings.kv_blocks = 10;
    Scheduler scheduler(settings, kMaxPositions, 512);
    Sequence sequence;
    sequence.call = call;
    scheduler.add(sequence);
    StepWork work;
    std::vector<Sequence*> failed;
    REQUIRE(scheduler.plan(work, failed));
    REQUIRE(work.plan.rows() == step_rows);
    REQUIRE(work.sampled.size() == (step_rows == 129 ? 1 : 0));
    REQUIRE(work.plan.attention.sequences.size() == 1);
    REQUIRE(work.plan.attention.sequences[0].row_count == step_rows);
    scheduler.remove(sequence);
    REQUIRE(scheduler.blocks().in_use() == 0);
  }
}
