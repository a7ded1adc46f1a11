#pragma once

#include <string>

#include "backend/device.h"
#include "comm/world.h"
#include "job/job_spec.h"

namespace assize::app {

/// Where the judge of a job computes, as far as the job says: `automatic` counts as CPU until it is settled.
backend::Device device_of(const job::JobSpec& job);

/// Settles job.parallel.device for a run in this process. Throws Error where GPUs are there but cannot be
/// used, and for numerics that the device does not have.
void settle_device(job::JobSpec& job);

/// The same for a world: every worker looks for itself, and all must find the same. Collective. Throws Error on
/// every rank alike.
void settle_device(job::JobSpec& job, const comm::World& world);

}  // namespace assize::app
