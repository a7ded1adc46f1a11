#include "cluster/group_counters.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::cluster;

namespace {

engine::EngineCounters after(std::uint64_t steps, std::int32_t calls, std::int32_t sampled) {
  engine::EngineCounters counters;
  counters.steps = steps;
  counters.calls_in_step = calls;
  counters.sampled_in_step = sampled;
  return counters;
}

}  // namespace

TEST_CASE("a step meter tells warm-up, steady state and tail apart") {
  StepMeter meter(4);
  meter.items_came(100);
  meter.items_came(105);                     // only the first starts the clock
  meter.step(101, 102, after(1, 4, 0), 0);   // every slot
  meter.step(102, 104, after(2, 4, 3), 1);   // the first judgement: warm
  meter.step(104, 105, after(3, 2, 2), 1);   // half of the slots for the last time
  meter.step(106, 109, after(4, 1, 1), 1);
  const GroupCounters& counters = meter.counters();
  CHECK(counters.warm.seconds == 4);
  CHECK(counters.warm.judgements == 1);
  CHECK(counters.tail.seconds == 5);
  CHECK(counters.tail.judgements == 2);
  CHECK(counters.now.seconds == 9);
  CHECK(counters.now.judgements == 3);
  CHECK(counters.now.full_seconds == 3);
  CHECK(counters.now.half_full_seconds == 4);
  CHECK(counters.now.token_seconds == 0 * 1 + 3 * 2 + 2 * 1 + 1 * 3);
}

TEST_CASE("a step meter sorts steps by their length and leaves out steps that computed nothing") {
  StepMeter meter(1);
  meter.items_came(0);
  meter.step(0, 30e-6, after(1, 1, 1), 0);
  meter.step(1, 1 + 60e-6, after(2, 1, 1), 0);
  meter.step(2, 60, after(3, 1, 1), 0);
  meter.step(60, 61, after(3, 0, 0), 0);
  const auto& bins = meter.counters().now.step_bins;
  CHECK(bins.front() == 1);
  CHECK(bins[1] == 1);
  CHECK(bins.back() == 1);
  std::uint64_t all = 0;
  for (const auto count : bins) all += count;
  CHECK(all == 3);
  CHECK(step_bin_end(0) == Approx(50e-6));
  CHECK(step_bin_end(2) == Approx(100e-6));
}
