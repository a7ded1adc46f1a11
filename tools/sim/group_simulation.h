#pragma once

#include <cstdint>
#include <vector>

#include "cluster/work_queue.h"

namespace assize::sim {

/// A cluster of worker groups and a workload, without either: only the work queue is real.
struct Scenario {
  int groups = 8;
  std::uint32_t slots = 32;            ///< of a group: calls that it judges at the same time
  double token_seconds = 0.02;         ///< time of one output token of a call
  int slow_groups = 1;                 ///< the last ones
  double slow_factor = 2;              ///< their tokens take so many times longer
  std::size_t items = 2000;
  std::uint32_t calls = 1;             ///< of an item
  double mean_tokens = 500;            ///< of a call
  double most_tokens = 4096;           ///< where an output is cut off
  double sigma = 1;                    ///< of the logarithm of an item's output length
  double correlation = 0.7;            ///< of the logarithms of estimate and truth
  double message_seconds = 0.001;      ///< from a finished call to the lease that follows it
  double coordinator_seconds = 0;      ///< that the coordinator takes for each judgement, one after the other
  cluster::LeaseOrder order = cluster::LeaseOrder::longest_first;
  std::uint64_t seed = 1;
};

/// What came of it.
struct Outcome {
  double seconds = 0;          ///< until the last call ended
  /// No schedule can be shorter: all slots busy to the end, and the longest call in a fast slot from the start.
  double bound_seconds = 0;
  double idle_share = 0;       ///< of all slots, to the end
  double coordinator_use = 0;  ///< share of the time in which the coordinator worked
  std::uint64_t leases = 0;
  std::uint64_t second_leases = 0;  ///< of calls that another group had already
};

/// Runs the scenario in virtual time: the same outcome each time.
Outcome simulate(const Scenario& scenario);

}  // namespace assize::sim
