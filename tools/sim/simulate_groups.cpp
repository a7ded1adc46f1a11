// Orders of leasing in virtual time, and where one coordinator ends.
//
//   simulate_groups orders [ITEMS [GROUPS [CALLS [SEEDS [FIRST]]]]]
//                                                             makespan of the three orders (2000 items of 2 calls, 8 groups, the 40
//                                                             seeds from 1 on)
//   simulate_groups coordinator MICROSECONDS                  groups against the share of time that slots wait, when the coordinator
//                                                             takes MICROSECONDS for each judgement (coordinator_load measures it)
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "tools/sim/group_simulation.h"

namespace {

using namespace assize;
using cluster::LeaseOrder;

/// Geometric mean and least of some ratios.
struct Ratios {
  double logs = 0, least = 1e300;
  int number = 0, over = 0;
  void add(double ratio, double goal) {
    logs += std::log(ratio);
    least = std::min(least, ratio);
    over += ratio >= goal;
    ++number;
  }
  void print(const char* what, double goal) const {
    std::printf("%-38s mean %.2f  least %.2f  at least %.2f in %d of %d seeds\n", what, std::exp(logs / number), least, goal, over, number);
  }
};

void compare_orders(std::size_t items, int groups, std::uint32_t calls, std::uint64_t seeds, std::uint64_t first_seed) {
  std::printf("%zu items of %u calls, %d groups of 32 slots, the last one at half speed, log-normal outputs (sigma 1, mean 500, at "
              "most 4096), estimates correlated 0.7\n", items, calls, groups);
  std::printf("bound: no schedule is shorter; known: costliest first if every output length were known before\n");
  std::printf("seed     bound     known  costliest      fifo    static  fifo/first  static/first  first/bound  fifo/bound  second leases\n");
  Ratios fifo, fixed, bound;
  for (std::uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
    sim::Scenario scenario;
    scenario.items = items;
    scenario.groups = groups;
    scenario.calls = calls;
    scenario.seed = seed;
    sim::Outcome outcomes[3];
    for (const LeaseOrder order : {LeaseOrder::longest_first, LeaseOrder::fifo, LeaseOrder::fixed}) {
      scenario.order = order;
      outcomes[static_cast<int>(order)] = sim::simulate(scenario);
    }
    scenario.order = LeaseOrder::longest_first;
    scenario.correlation = 1;
    const double known = sim::simulate(scenario).seconds;
    const sim::Outcome& first = outcomes[0];
    fifo.add(outcomes[1].seconds / first.seconds, 1.15);
    fixed.add(outcomes[2].seconds / first.seconds, 1.4);
    bound.add(outcomes[1].seconds / first.bound_seconds, 1.15);
    std::printf("%4llu %7.1f s %7.1f s  %7.1f s %7.1f s %7.1f s %11.2f %13.2f %12.2f %11.2f %14llu\n", static_cast<unsigned long long>(seed),
                first.bound_seconds, known, first.seconds, outcomes[1].seconds, outcomes[2].seconds, outcomes[1].seconds / first.seconds,
                outcomes[2].seconds / first.seconds, first.seconds / first.bound_seconds, outcomes[1].seconds / first.bound_seconds,
                static_cast<unsigned long long>(first.second_leases));
  }
  fifo.print("fifo / costliest first", 1.15);
  fixed.print("static / costliest first", 1.4);
  bound.print("fifo / bound (what could be reached)", 1.15);
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
  if (what == "orders" && argc <= 7) {
    compare_orders(argc > 2 ? std::stoul(argv[2]) : 2000, argc > 3 ? std::stoi(argv[3]) : 8,
                   argc > 4 ? static_cast<std::uint32_t>(std::stoul(argv[4])) : 2,
                   argc > 5 ? std::stoul(argv[5]) : 40, argc > 6 ? std::stoul(argv[6]) : 1);
  } else if (what == "coordinator" && argc == 3) {
    find_limit(std::stod(argv[2]));
  } else {
    std::fprintf(stderr, "usage: simulate_groups orders [ITEMS [GROUPS [CALLS [SEEDS [FIRST]]]]]\n       simulate_groups coordinator MICROSECONDS\n");
    return 2;
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "simulate_groups: %s\n", error.what());
  return 1;
}
