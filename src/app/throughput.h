#pragma once

#include "app/plan.h"

namespace assize::app {

/// `assize run` of a throughput job: measures from the start (an earlier measurement is set aside, never continued)
/// and writes report.html, metrics.json and results.h5. Returns the exit code (cli.h).
int measure_throughput(job::JobSpec job);

}  // namespace assize::app
