#include <cmath>

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
  // One of eight groups at half speed, log-normal outputs, estimates correlated 0.7 with the truth. Where a call is
  // much longer than its estimate, luck decides how late it begins: the mean over seeds counts.
  double logs_fifo = 0, logs_fixed = 0;
  constexpr int kSeeds = 20;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    sim::Scenario scenario;
    scenario.seed = seed;
    const double longest = seconds(scenario, LeaseOrder::longest_first);
    logs_fifo += std::log(seconds(scenario, LeaseOrder::fifo) / longest);
    logs_fixed += std::log(seconds(scenario, LeaseOrder::fixed) / longest);
  }
  CHECK(std::exp(logs_fifo / kSeeds) > 1.25);
  CHECK(std::exp(logs_fixed / kSeeds) > 1.7);
}

TEST_CASE("what a slow group would end last goes to a fast group too, and no schedule beats the bound") {
  sim::Scenario scenario;
  const sim::Outcome outcome = sim::simulate(scenario);
  CHECK(outcome.second_leases > 0);
  CHECK(outcome.seconds >= outcome.bound_seconds);
  scenario.slow_groups = 0;
  CHECK(sim::simulate(scenario).seconds >= sim::simulate(scenario).bound_seconds);
}

TEST_CASE("work that is perfectly known leaves hardly a slot idle") {
  sim::Scenario scenario;
  scenario.items = 20000;
  scenario.correlation = 1;
  const sim::Outcome outcome = sim::simulate(scenario);
  CHECK(outcome.seconds < 1.03 * outcome.bound_seconds);
  CHECK(outcome.idle_share < 0.03);
}

TEST_CASE("a coordinator that takes too long for a judgement becomes the limit") {
  sim::Scenario scenario;
  scenario.slow_groups = 0;
  scenario.items = 5000;
  const double free = sim::simulate(scenario).seconds;
  scenario.coordinator_seconds = 1.5 * free / 5000;
  const sim::Outcome outcome = sim::simulate(scenario);
  CHECK(outcome.coordinator_use > 0.9);  // it waits until the first calls have ended
  CHECK(outcome.coordinator_use <= 1);
  CHECK(outcome.seconds >= 1.49 * free);
}
