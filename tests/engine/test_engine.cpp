#include <fmt/format.h>

#include <map>
#include <set>

#include "base/error.h"
#include "fake_model.h"
#include "random_calls.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

namespace {

constexpr std::int32_t kMaxPositions = 700;

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer made = text::Tokenizer::parse(support::tiny_tokenizer_json(), "tiny");
  return made;
}

EngineSettings ample() {
  EngineSettings settings;
  settings.step_rows = 512;
  settings.slots = 64;
  settings.kv_blocks = 2000;
  settings.image_patches = 1000;
  settings.embedding_rows = 400;
  return settings;
}

using Generations = std::map<std::uint64_t, Generation>;

void take(std::vector<Generation>& finished, Generations& into) {
  for (Generation& generation : finished) {
    const std::uint64_t id = generation.id;
    REQUIRE(into.emplace(id, std::move(generation)).second);
  }
  finished.clear();
}

struct Run {
  Generations generations;
  EngineCounters counters;
  FakeModel model;
};

/// All calls through one engine; `batch` of them submitted at a time, before every other step.
Run run(const std::vector<Call>& calls, const EngineSettings& settings, std::size_t batch = 1000000) {
  Run out{{}, {}, FakeModel(settings.kv_blocks, settings.step_rows, settings.embedding_rows, kMaxPositions)};
  const auto engine = make_engine(out.model, tokenizer(), settings);
  std::vector<Generation> finished;
  std::size_t next = 0;
  while (next < calls.size() || engine->unfinished() > 0) {
    const std::size_t end = std::min(calls.size(), next + batch);
    engine->submit(std::vector<Call>(calls.begin() + next, calls.begin() + end));
    next = end;
    engine->step(finished);
    if (engine->unfinished() > 0) engine->step(finished);
    take(finished, out.generations);
    REQUIRE(out.model.steps < 200000);
  }
  REQUIRE(!engine->step(finished));
  out.counters = engine->counters();
  return out;
}

void require_equal(const Generation& a, const Generation& b) {
  REQUIRE(a.ids == b.ids);
  REQUIRE(a.text == b.text);
  REQUIRE(a.finish == b.finish);
  REQUIRE(a.sum_logprob == b.sum_logprob);
  REQUIRE(a.watch_logprobs == b.watch_logprobs);
  REQUIRE(a.top_logprobs.size() == b.top_logprobs.size());
  for (std::size_t i = 0; i < a.top_logprobs.size(); ++i) {
    REQUIRE(a.top_logprobs[i].size() == b.top_logprobs[i].size());
    for (std::size_t k = 0; k < a.top_logprobs[i].size(); ++k) {
      REQUIRE(a.top_logprobs[i][k].id == b.top_logprobs[i][k].id);
      REQUIRE(a.top_logprobs[i][k].logprob == b.top_logprobs[i][k].logprob);
    }
  }
}

/// Returns how often generations went back (budget forcing).
int require_as_computed_directly(const std::vector<Call>& calls, const Generations& generations) {
  int rounds = 0;
  REQUIRE(generations.size() == calls.size());
  for (const Call& call : calls) {
    const Generation& got = generations.at(call.id);
    INFO("call " << call.id << ": " << got.error);
    const Expected expected = expected_generation(call, kMaxPositions, call.sampling.stop_strings);
    REQUIRE((got.finish == FinishReason::bad_numbers) == !expected.ok);
    if (!expected.ok) continue;
    REQUIRE(got.ids == expected.ids);
    REQUIRE(got.sum_logprob == expected.sum_logprob);
    REQUIRE(got.watch_logprobs == expected.watch_logprobs);
    std::string text = tokenizer().decode(got.ids, text::DecodeSpecial::skip);
    for (const std::string& stop : call.sampling.stop_strings) {
      if (const auto at = text.find(stop); at != std::string::npos) text.resize(at + stop.size());
    }
    REQUIRE(got.text == text);
    rounds += expected.rounds;
  }
  return rounds;
}

std::int32_t least_blocks(const std::vector<Call>& calls) {
  std::int32_t most = 1;
  for (const Call& call : calls) {
    const auto tokens = static_cast<std::int32_t>(call.input->ids.size()) + call.sampling.max_new_tokens;
    most = std::max(most, (std::min(tokens, kMaxPositions) + 63) / 64);
  }
  return most;
}

}  // namespace

TEST_CASE("generations are what the judge says, whatever the limits") {
  std::uint64_t evictions = 0;
  int copies = 0, rounds = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    RandomCalls random(seed);
    auto calls = random.judge_calls(random.between(1, 6), random.between(2, 160), random.between(1, 120));
    if (seed % 4 == 0) {
      // Many short outputs make the engine expect more of them; long ones then run out of memory.
      for (Call& call : calls) {
        call.sampling.stop_ids.clear();
        call.sampling.max_new_tokens = random.between(0, 2) ? random.between(1, 3) : 300;
      }
    }
    EngineSettings settings = ample();
    settings.step_rows = random.between(0, 1) ? random.between(1, 512) : random.between(1, 70);
    settings.slots = random.between(1, 64);
    const std::int32_t least = least_blocks(calls);
    const int memory = random.between(0, 3);
    settings.kv_blocks = memory == 0   ? least
                         : memory == 1 ? least + random.between(1, 6)
                                       : random.between(least, 300);
    settings.embedding_rows = random.between(0, 1) ? 20 : random.between(20, 100);
    settings.prefix_sharing = random.between(0, 2) > 0;
    settings.fork = random.between(0, 2) > 0;
    settings.grouped_attention = random.between(0, 2) > 0;
    settings.encoder_cache = random.between(0, 2) > 0;
    INFO(fmt::format(
        "seed {}: {} calls, step_rows {}, slots {}, {} KV blocks (least {}), {} embedding rows, sharing {}, "
        "fork {}",
        seed, calls.size(), settings.step_rows, settings.slots, settings.kv_blocks, least,
        settings.embedding_rows, settings.prefix_sharing, settings.fork));
    const Run got = run(calls, settings, random.between(0, 1) ? random.between(1, 8) : 1000000);
    rounds += require_as_computed_directly(calls, got.generations);
    REQUIRE(got.counters.kv_blocks_high_water <= settings.kv_blocks);
    REQUIRE(got.model.most_samples <= settings.slots);
    evictions += got.counters.evictions;
    copies += got.model.copied;
  }
  // The trials reach what they are made for.
  INFO(evictions << " evictions, " << copies << " copies");
  REQUIRE(evictions > 100);
  REQUIRE(copies > 1000);
  REQUIRE(rounds > 1000);
}

TEST_CASE("one call at a time and all at once give equal generations") {
  for (std::uint64_t seed = 101; seed <= 110; ++seed) {
    RandomCalls random(seed);
    const auto calls = random.judge_calls(4, 100, 60);
    Generations alone;
    for (const Call& call : calls) alone.merge(run({call}, ample()).generations);
    EngineSettings tight = ample();
    tight.kv_blocks = least_blocks(calls);
    tight.step_rows = 33;
    for (const EngineSettings& settings : {ample(), tight}) {
      const Run got = run(calls, settings);
      REQUIRE(got.generations.size() == alone.size());
      for (const auto& [id, generation] : got.generations) require_equal(generation, alone.at(id));
    }
  }
}

TEST_CASE("equal and common prefixes are computed once") {
  RandomCalls random(5);
  RandomCalls::Prompt system;
  random.add_text(system, 150);
  std::vector<Call> calls;
  std::int64_t unshared = 0;
  for (int g = 0; g < 3; ++g) {
    RandomCalls::Prompt question = system;
    question.text(200 + g);
    random.add_text(question, 69);
    for (int order = 0; order < 2; ++order) {
      RandomCalls::Prompt asked = question;
      asked.text(210 + order);
      random.add_text(asked, 29);
      for (int vote = 0; vote < 5; ++vote) {
        Call call;
        call.id = calls.size();
        call.input = asked.input();
        call.noise_stream = call.id;
        call.sampling.temperature = 1;
        call.sampling.max_new_tokens = 40;
        calls.push_back(call);
        unshared += 250;
      }
    }
  }
  const Run shared = run(calls, ample());
  require_as_computed_directly(calls, shared.generations);
  // 150 of the system prompt, 70 of each question, 29 of each order, and the last token of each call.
  REQUIRE(shared.counters.prompt_tokens_computed == 150 + 3 * 70 + 6 * 29 + 30);
  REQUIRE(shared.counters.prompt_tokens_asked == std::uint64_t(unshared));
  REQUIRE(shared.model.shared_reads > 0);
  std::int64_t prefilled = 0;
  for (const auto& [id, generation] : shared.generations) prefilled += generation.prefilled_tokens;
  REQUIRE(prefilled == std::int64_t(shared.counters.prompt_tokens_computed));

  EngineSettings settings = ample();
  settings.prefix_sharing = false;
  REQUIRE(run(calls, settings).counters.prompt_tokens_computed == 6 * 249 + 30);
  settings.fork = false;
  REQUIRE(run(calls, settings).counters.prompt_tokens_computed == std::uint64_t(unshared));
  settings.prefix_sharing = true;
  // Each vote computes what is its order's own.
  REQUIRE(run(calls, settings).counters.prompt_tokens_computed == 150 + 3 * 70 + 30 * 29 + 30);
  settings.grouped_attention = false;
  REQUIRE(run(calls, settings).model.shared_reads == 0);
}

TEST_CASE("a picture is encoded once while calls that show it are known") {
  RandomCalls random(6);
  std::vector<Call> calls;
  for (int i = 0; i < 6; ++i) {
    RandomCalls::Prompt prompt;
    random.add_text(prompt, 5 + i);
    prompt.image(RandomCalls::picture(i % 2, 3, 4));
    random.add_text(prompt, 3);
    Call call;
    call.id = i;
    call.input = prompt.input();
    call.sampling.max_new_tokens = 5;
    calls.push_back(call);
  }
  Run once = run(calls, ample());
  require_as_computed_directly(calls, once.generations);
  REQUIRE(once.counters.images_asked == 6);
  REQUIRE(once.counters.images_encoded == 2);
  EngineSettings settings = ample();
  settings.encoder_cache = false;
  REQUIRE(run(calls, settings).counters.images_encoded == 6);
  settings.encoder_cache = true;
  settings.embedding_rows = 12;
  const Run tight = run(calls, settings);
  require_as_computed_directly(calls, tight.generations);
  REQUIRE(tight.counters.images_encoded >= 2);
}

TEST_CASE("pictures with the same placeholders are told apart by their content") {
  std::vector<Call> calls;
  for (int i = 0; i < 2; ++i) {
    RandomCalls::Prompt prompt;
    prompt.text(65);
    prompt.image(RandomCalls::picture(i, 4, 4));
    prompt.text(66);
    prompt.text(67);
    Call call;
    call.id = i;
    call.input = prompt.input();
    call.sampling.max_new_tokens = 30;
    calls.push_back(call);
  }
  const Run got = run(calls, ample());
  require_as_computed_directly(calls, got.generations);
  REQUIRE(got.generations.at(0).ids != got.generations.at(1).ids);
  REQUIRE(got.counters.prompt_tokens_computed == 1 + 2 * 18);
}

TEST_CASE("under memory pressure the latest generation starts again and ends the same") {
  RandomCalls random(7);
  std::vector<Call> calls;
  for (int i = 0; i < 8; ++i) {
    RandomCalls::Prompt prompt;
    random.add_text(prompt, 60);
    Call call;
    call.id = i;
    call.input = prompt.input();
    call.sampling.max_new_tokens = 600;
    call.noise_stream = i;
    call.sampling.temperature = 1;
    calls.push_back(call);
  }
  EngineSettings settings = ample();
  settings.kv_blocks = 22;
  const Run got = run(calls, settings);
  require_as_computed_directly(calls, got.generations);
  REQUIRE(got.counters.evictions > 0);
  for (const auto& [id, generation] : got.generations) REQUIRE(generation.finish != FinishReason::error);
}

TEST_CASE("a call that just fits is not failed by blocks that others left split") {
  // The short call goes on in the last block of the common prefix, so the long one copies it; once alone, the
  // long one would need twelve blocks where its own length needs eleven.
  RandomCalls random(12);
  RandomCalls::Prompt common;
  random.add_text(common, 100);
  std::vector<Call> calls(2);
  for (int i = 0; i < 2; ++i) {
    RandomCalls::Prompt prompt = common;
    prompt.text(200 + i);
    random.add_text(prompt, 5);
    calls[i].id = i;
    calls[i].input = prompt.input();
    calls[i].sampling.temperature = 1;
  }
  calls[0].sampling.max_new_tokens = 3;
  calls[1].sampling.max_new_tokens = kMaxPositions - 106;
  while (expected_generation(calls[1], kMaxPositions, {}).ids.size() != kMaxPositions - 106)
    ++calls[1].noise_stream;
  EngineSettings settings = ample();
  settings.kv_blocks = 11;
  const Run got = run(calls, settings);
  require_as_computed_directly(calls, got.generations);
  REQUIRE(got.counters.evictions == 1);
  REQUIRE(got.model.copied == 1);
}

TEST_CASE("a call that can never fit fails alone") {
  RandomCalls random(8);
  std::vector<Call> calls = random.judge_calls(2, 20, 20);
  for (Call& call : calls) call.sampling.max_new_tokens = 20;
  RandomCalls::Prompt prompt;
  random.add_text(prompt, 130);
  Call big;
  big.id = 1;
  big.input = prompt.input();
  big.sampling.max_new_tokens = 400;
  for (big.noise_stream = 0;; ++big.noise_stream) {
    big.sampling.temperature = 1;
    if (expected_generation(big, kMaxPositions, {}).ids.size() >= 200) break;
  }
  calls.push_back(big);
  EngineSettings settings = ample();
  settings.kv_blocks = 4;
  const Run got = run(calls, settings);
  REQUIRE(got.generations.at(1).finish == FinishReason::error);
  REQUIRE(got.generations.at(1).error.find("256 tokens is too small for 130 prompt tokens") !=
          std::string::npos);
  calls.pop_back();
  Generations rest = got.generations;
  rest.erase(1);
  require_as_computed_directly(calls, rest);
}

TEST_CASE("what is wrong with a call is its own outcome") {
  RandomCalls random(9);
  RandomCalls::Prompt good;
  random.add_text(good, 10);
  std::vector<Call> calls(9);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].id = i;
    calls[i].input = good.input();
    calls[i].sampling.max_new_tokens = 3;
  }
  RandomCalls::Prompt with_picture = good;
  with_picture.image(RandomCalls::picture(1, 30, 30));
  calls[1].input = with_picture.input();  // ends with a picture, which is also too large
  with_picture.text(65);
  calls[2].input = with_picture.input();
  calls[3].input = std::make_shared<model::ModelInput>();
  auto outside = std::make_shared<model::ModelInput>(*good.input());
  outside->ids[3] = 512;
  calls[4].input = outside;
  RandomCalls::Prompt long_one;
  random.add_text(long_one, kMaxPositions);
  calls[5].input = long_one.input();
  calls[6].sampling.max_new_tokens = 0;
  calls[7].watch_ids.assign(17, 1);
  calls[8].sampling.stop_strings = {""};
  const Run got = run(calls, ample());
  REQUIRE(got.generations.at(0).ids.size() <= 3);
  REQUIRE(got.generations.at(0).finish != FinishReason::error);
  for (const int i : {1, 2, 3, 4, 7, 8}) {
    REQUIRE(got.generations.at(i).finish == FinishReason::error);
    REQUIRE(!got.generations.at(i).error.empty());
    REQUIRE(got.generations.at(i).error.find('\n') == std::string::npos);
  }
  REQUIRE(got.generations.at(2).error.find("3600 patches and 900 tokens, the limits are 1000 and 400") !=
          std::string::npos);
  REQUIRE(got.generations.at(5).finish == FinishReason::too_long);
  REQUIRE(got.generations.at(6).finish == FinishReason::length);
  REQUIRE(got.generations.at(6).ids.empty());
}

TEST_CASE("cancelled calls leave nothing behind") {
  for (std::uint64_t seed = 201; seed <= 220; ++seed) {
    RandomCalls random(seed);
    auto calls = random.judge_calls(5, 90, 60);
    EngineSettings settings = ample();
    settings.kv_blocks = least_blocks(calls) + random.between(0, 20);
    settings.step_rows = random.between(1, 100);
    FakeModel model(settings.kv_blocks, settings.step_rows, settings.embedding_rows, kMaxPositions);
    const auto engine = make_engine(model, tokenizer(), settings);
    engine->submit(calls);
    Generations got;
    std::vector<Generation> finished;
    std::set<std::uint64_t> cancelled;
    while (engine->step(finished)) {
      take(finished, got);
      const std::uint64_t id = calls[random.between(0, static_cast<std::int32_t>(calls.size()) - 1)].id;
      if (random.between(0, 3) == 0 && !got.count(id)) {
        engine->cancel(id);
        cancelled.insert(id);
      }
    }
    take(finished, got);
    REQUIRE(got.size() + cancelled.size() == calls.size());
    std::erase_if(calls, [&](const Call& call) { return cancelled.count(call.id) > 0; });
    require_as_computed_directly(calls, got);
    REQUIRE(engine->unfinished() == 0);
  }
}

TEST_CASE("an id in use is refused") {
  RandomCalls random(10);
  auto calls = random.judge_calls(1, 10, 10);
  calls.resize(1);
  FakeModel model(100, 512, 400, kMaxPositions);
  const auto engine = make_engine(model, tokenizer(), ample());
  engine->submit(calls);
  REQUIRE_THROWS(engine->submit(calls));
  EngineSettings none = ample();
  none.slots = 0;
  REQUIRE_THROWS_AS(make_engine(model, tokenizer(), none), base::Error);
}
