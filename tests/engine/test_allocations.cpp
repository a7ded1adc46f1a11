// Counts allocations of a whole program, so that a steady decode step can be shown to make none.
#include <cstdlib>
#include <new>

#include "fake_model.h"
#include "random_calls.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

// Not inlined: GCC would see malloc and free meet new and delete and warn.
__attribute__((noinline)) void* operator new(std::size_t size) {
  AllocationCounter::count += AllocationCounter::on;
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("decoding steps allocate nothing") {
  const text::Tokenizer tokenizer = text::Tokenizer::parse(support::tiny_tokenizer_json(), "tiny");
  RandomCalls random(11);
  std::vector<Call> calls;
  for (int i = 0; i < 24; ++i) {
    RandomCalls::Prompt prompt;
    for (int k = 0; k < 80; ++k) prompt.text(40 + k);
    random.add_text(prompt, 1 + i / 3);
    Call call;
    call.id = i;
    call.input = prompt.input();
    call.noise_stream = i;
    call.sampling.temperature = 1;
    call.sampling.max_new_tokens = 400;
    call.sampling.stop_strings = {"</answer>"};
    calls.push_back(call);
  }
  EngineSettings settings;
  settings.kv_blocks = 1000;
  FakeModel model(settings.kv_blocks, settings.step_rows, 1, 2000);
  const auto engine = make_engine(model, tokenizer, settings);
  engine->submit(calls);
  std::vector<Generation> finished;
  int quiet_steps = 0;
  for (int step = 0; engine->step(finished); ++step) {
    const std::size_t before = finished.size();
    AllocationCounter::count = 0;
    AllocationCounter::on = true;
    engine->step(finished);
    AllocationCounter::on = false;
    // The first steps prefill; a step in which a call finishes hands out its Generation.
    if (step < 3 || finished.size() != before) continue;
    REQUIRE(AllocationCounter::count == 0);
    ++quiet_steps;
  }
  REQUIRE(quiet_steps > 100);
  REQUIRE(finished.size() == calls.size());
}
