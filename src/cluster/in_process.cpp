#include "cluster/in_process.h"

#include <thread>

#include "base/log.h"

namespace assize::cluster {

namespace {

/// One rank, from its judge to its end. Nothing is thrown out of the thread: the leader tells the coordinator.
void run_rank(const InProcessGroups& setup, int group, std::unique_ptr<comm::Comm> comm, comm::Link* link) {
  const auto report = [&](const std::string& what, base::ErrorKind kind) {
    base::log(base::LogLevel::error, "group " + std::to_string(group) + " rank " + std::to_string(comm->rank()) + ": " + what);
    if (link) link->send(0, encode(Fatal{what, kind}));
  };
  std::unique_ptr<Judge> judge;
  try {
    judge = setup.make_judge(group, *comm);
  } catch (const base::Error& error) {
    return report(error.what(), error.kind());
  } catch (const std::exception& error) {
    return report(error.what(), base::ErrorKind::failed);
  }
  try {
    run_worker(*comm, link, *judge, setup.worker);
  } catch (const std::exception& error) {
    // run_worker has told the coordinator.
    base::log(base::LogLevel::error, "group " + std::to_string(group) + " rank " + std::to_string(comm->rank()) + ": " + error.what());
  }
}

/// Joins when it goes out of scope, after the coordinator has sent Shutdown to everyone.
struct Threads {
  std::vector<std::thread> all;
  ~Threads() {
    for (std::thread& thread : all) thread.join();
  }
};

}  // namespace

RunOutcome run_in_process(const InProcessGroups& setup, const std::vector<PlannedItem>& plan,
                          const std::function<WorkItem(std::uint64_t)>& make_item, results::Journal& journal,
                          const CoordinatorSettings& settings) {
  auto [link, leaders] = comm::make_in_process_star(setup.groups);
  Threads threads;
  for (int group = 0; group < setup.groups; ++group) {
    auto comms = setup.tensor_parallel == 1 ? std::vector<std::unique_ptr<comm::Comm>>{}
                                            : comm::make_in_process(setup.tensor_parallel);
    if (comms.empty()) comms.push_back(comm::make_alone());
    for (std::unique_ptr<comm::Comm>& comm : comms) {
      comm::Link* leader = comm->rank() == 0 ? leaders[static_cast<std::size_t>(group)].get() : nullptr;
      threads.all.emplace_back([&setup, group, leader, own = std::move(comm)]() mutable {
        run_rank(setup, group, std::move(own), leader);
      });
    }
  }
  return coordinate(*link, setup.groups, plan, make_item, journal, settings);
}

}  // namespace assize::cluster
