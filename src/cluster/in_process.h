#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cluster/coordinator.h"
#include "cluster/worker.h"

namespace assize::cluster {

/// Worker groups as threads of this process.
struct InProcessGroups {
  int groups = 1;
  int tensor_parallel = 1;
  /// Makes the judge of one rank; called on that rank's thread. What it throws ends the run.
  std::function<std::unique_ptr<Judge>(int group, comm::Comm& comm)> make_judge;
  WorkerSettings worker;
};

/// A whole run in this process: the coordinator on the calling thread, the worker groups on threads of their own,
/// through the same code as over MPI. Throws as `coordinate` does.
RunOutcome run_in_process(const InProcessGroups& setup, const std::vector<PlannedItem>& plan,
                          const std::function<WorkItem(std::uint64_t)>& make_item, results::Journal& journal,
                          const CoordinatorSettings& settings);

}  // namespace assize::cluster
