#include "app/world_run.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>

#include <fmt/format.h>

#include "app/device.h"
#include "app/faults.h"
#include "app/judge_setup.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/log.h"
#include "cluster/worker.h"

namespace assize::app {

namespace {

int run_worker_rank(const Plan& plan, comm::World& world) {
  leave_signals_to_coordinator();
  const std::string who = fmt::format("rank {}, group {}", world.rank, world.group);
  std::error_code code;
  std::filesystem::create_directories(plan.job.output / "log", code);
  base::open_log(who, (plan.job.output / "log" / fmt::format("rank-{:04}.log", world.rank)).string(), plan.job.log_level);
  JudgeSetup setup = measure(plan);
  setup.ranks_on_node = world.workers_on_node;
  setup.worker_on_node = world.worker_on_node;
  const std::unique_ptr<cluster::Judge> judge = load_judge(plan, setup, *world.comm);
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  cluster::WorkerSettings settings;
  settings.about = fmt::format("{}, group {}", host, world.group);
  cluster::WatchdogSettings watch;
  watch.who = fmt::format("{} on host {}", who, host);
  watch.least_seconds = plan.job.limits.lease_seconds;
  watch.bite = [&](const std::string& line) {
    record_fault(plan.job.output, settings.about, line);
    base::log(base::LogLevel::error, line);
    ::_exit(cluster::kHungExit);
  };
  cluster::Watchdog watchdog(watch);
  settings.watchdog = &watchdog;
  cluster::run_worker(*world.comm, world.link.get(), *judge, settings);
  leave_world(world, true, 0);
  return 0;
}

}  // namespace

void leave_world(comm::World& world, bool clean, int code) {
  std::fflush(stdout);
  std::fflush(stderr);
  if (clean) {
    world.link.reset();
    world.comm.reset();
  }
  comm::close_world(clean, code);
}

int run_in_world(job::JobSpec job, const std::function<int(const Plan&, comm::World&)>& coordinate) {
  comm::World world = comm::open_world(job.parallel.tensor_parallel);
  try {
    settle_device(job, world);
    if (world.role == comm::Role::unused) {
      leave_world(world, true, 0);
      return 0;
    }
    const Plan plan = make_plan(job);
    return world.role == comm::Role::coordinator ? coordinate(plan, world) : run_worker_rank(plan, world);
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const base::Error*>(&error);
    const int code = known && known->kind() == base::ErrorKind::usage ? 2 : 1;
    if (world.rank <= 1) std::fprintf(stderr, "assize: %s\n", error.what());
    leave_world(world, false, code);
    return code;
  }
}

bool is_first_process() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (!rank) rank = std::getenv("PMIX_RANK");
  return !comm::started_as_one_of_several() || (rank && std::string_view(rank) == "0");
}

}  // namespace assize::app
