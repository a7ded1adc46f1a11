// Orders of leasing in virtual time, and where one coordinator ends.
//
//   simulate_groups orders [ITEMS [GROUPS [CALLS]]]   makespan of the three orders over five seeds
//   simulate_groups coordinator MICROSECONDS          groups against the share of time that slots wait, when the coordinator
//                                                     takes MICROSECONDS for each judgement (coordinator_load measures it)
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tools/sim/group_simulation.h"

namespace {

using namespace assize;
using cluster::LeaseOrder;

void compare_orders(std::size_t items, int groups, std::uint32_t calls) {
  std::printf("%zu items of %u calls, %d groups of 32 slots, the last one at half speed, log-normal outputs (sigma 1, mean 500, at "
              "most 4096), estimates correlated 0.7\n", items, calls, groups);
  std::printf("seed  costliest first      fifo    static   fifo/first  static/first   first/ideal\n");
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    sim::Scenario scenario;
    scenario.items = items;
    scenario.groups = groups;
    scenario.calls = calls;
    scenario.seed = seed;
    double seconds[3] = {};
    double ideal = 0;
    for (const LeaseOrder order : {LeaseOrder::longest_first, LeaseOrder::fifo, LeaseOrder::fixed}) {
      scenario.order = order;
      const sim::Outcome outcome = sim::simulate(scenario);
      seconds[static_cast<int>(order)] = outcome.seconds;
      ideal = outcome.ideal_seconds;
    }
    std::printf("%4llu  %13.1f s %7.1f s %7.1f s %12.2f %13.2f %13.2f\n", static_cast<unsigned long long>(seed), seconds[0], seconds[1],
                seconds[2], seconds[1] / seconds[0], seconds[2] / seconds[0], seconds[0] / ideal);
  }
}

/// Each group judges 20 calls a second: 32 slots of calls of 1.6 s.
void find_limit(double microseconds) {
  std::printf("a judgement takes the coordinator %.1f us; a group judges 20 a second\n", microseconds);
  std::printf("groups  judgements/s wanted  coordinator busy  slower than a free coordinator  queue code, us a judgement\n");
  for (int groups = 64; groups <= 4096; groups *= 2) {
    sim::Scenario scenario;
    scenario.groups = groups;
    scenario.slow_groups = 0;
    scenario.items = static_cast<std::size_t>(groups) * 200;
    scenario.mean_tokens = 80;
    scenario.sigma = 0.5;
    const double free = sim::simulate(scenario).seconds;
    scenario.coordinator_seconds = microseconds * 1e-6;
    const auto begin = std::chrono::steady_clock::now();
    const sim::Outcome outcome = sim::simulate(scenario);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%6d  %19d  %15.1f %%  %28.1f %%  %27.2f\n", groups, 20 * groups, 100 * outcome.coordinator_use,
                100 * (outcome.seconds / free - 1), 1e6 * took / static_cast<double>(scenario.items));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "orders" && argc <= 5) {
    compare_orders(argc > 2 ? std::stoul(argv[2]) : 2000, argc > 3 ? std::stoi(argv[3]) : 8,
                   argc > 4 ? static_cast<std::uint32_t>(std::stoul(argv[4])) : 2);
  } else if (what == "coordinator" && argc == 3) {
    find_limit(std::stod(argv[2]));
  } else {
    std::fprintf(stderr, "usage: simulate_groups orders [ITEMS [GROUPS [CALLS]]]\n       simulate_groups coordinator MICROSECONDS\n");
    return 2;
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "simulate_groups: %s\n", error.what());
  return 1;
}
