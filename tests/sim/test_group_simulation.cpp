#include "support/catch.h"
#include "tools/sim/group_simulation.h"

using namespace assize;
using cluster::LeaseOrder;

namespace {

double seconds(sim::Scenario scenario, LeaseOrder order) {
  scenario.order = order;
  return sim::simulate(scenario).seconds;
}

}  // namespace

TEST_CASE("costliest first beats the order of the suite and shards made before the start") {
  // One of eight groups at half speed, log-normal outputs, estimates correlated 0.7 with the truth.
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    sim::Scenario scenario;
    scenario.items = 3000;
    scenario.seed = seed;
    const double longest = seconds(scenario, LeaseOrder::longest_first);
    CHECK(seconds(scenario, LeaseOrder::fifo) > 1.15 * longest);
    CHECK(seconds(scenario, LeaseOrder::fixed) > 1.4 * longest);
  }
}

TEST_CASE("work that is perfectly known leaves hardly a slot idle") {
  sim::Scenario scenario;
  scenario.items = 20000;
  scenario.correlation = 1;
  const sim::Outcome outcome = sim::simulate(scenario);
  CHECK(outcome.seconds < 1.03 * outcome.ideal_seconds);
  CHECK(outcome.idle_share < 0.03);
}

TEST_CASE("a coordinator that takes too long for a judgement becomes the limit") {
  sim::Scenario scenario;
  scenario.slow_groups = 0;
  scenario.items = 5000;
  const double free = sim::simulate(scenario).seconds;
  scenario.coordinator_seconds = 1.5 * free / 5000;
  const sim::Outcome outcome = sim::simulate(scenario);
  CHECK(outcome.coordinator_use > 0.95);
  CHECK(outcome.seconds >= 1.49 * free);
}
