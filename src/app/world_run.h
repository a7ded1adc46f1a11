#pragma once

#include <functional>

#include "app/plan.h"
#include "comm/world.h"

namespace assize::app {

/// Settles the job's device and runs this process' part of the MPI world that it was started in: rank 0 does
/// `coordinate`, which leaves the world itself, the ranks of worker groups judge until they are told to leave. Returns
/// the exit code.
int run_in_world(job::JobSpec job, const std::function<int(const Plan&, comm::World&)>& coordinate);

/// Ends the world with everything of it that this rank still holds; unless `clean`, all its ranks with `code`.
void leave_world(comm::World& world, bool clean, int code);

/// Whether this is the only process of the run or the first of several.
bool is_first_process();

}  // namespace assize::app
