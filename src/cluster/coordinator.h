#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "cluster/wire.h"
#include "cluster/work_queue.h"
#include "comm/link.h"
#include "results/journal.h"

namespace assize::cluster {

/// How the run stands, for the progress display.
struct Progress {
  enum class State { waiting_for_groups, running, draining, ended } state = State::waiting_for_groups;
  struct Group {
    bool joined = false;
    bool lost = false;
    bool gone = false;  ///< said goodbye
    GroupCounters counters;
    std::uint32_t slots = 0;
    Ceiling ceiling;
    std::string about;
  };
  double seconds = 0;             ///< since the coordinator started
  double first_lease_seconds = 0;    ///< on the same clock
  double last_judgement_seconds = 0;
  std::uint64_t calls_done = 0;   ///< of this plan, failed ones included
  std::uint64_t calls_total = 0;
  std::uint64_t calls_leased = 0; ///< with groups now
  double cost_done = 0;           ///< generated-token equivalents
  double cost_total = 0;
  std::uint64_t failed = 0;
  std::uint64_t truncated = 0;
  std::uint64_t dropped = 0;      ///< judgements that came twice or that nobody asked for
  std::uint64_t output_tokens = 0;  ///< of all groups
  std::vector<Group> groups;
};

struct CoordinatorSettings {
  QueueSettings queue;
  double drain_seconds = 60;      ///< after the first stop signal, running calls may end for this long
  double farewell_seconds = 10;   ///< after Shutdown, a group may end its step for this long; then it is lost
  std::set<std::string> left_out; ///< `about` of groups that get no work, unless every group is one of them
  /// A group was lost or could not go on: its `about` and why.
  std::function<void(const std::string& about, const std::string& why)> fault;
  bool spools = false;            ///< leaders spool what they finish in the run folder: groups are other processes
  bool wait_for_all = false;      ///< lease only when every group has joined (measurements)
  int use_groups = 0;             ///< lease only to the first so many; 0: to all
  bool restart = false;           ///< the groups have been through a run already: they are told to begin anew
  bool stay = false;              ///< at the end the groups stay for another run
  double progress_seconds = 0.2;  ///< least time between two calls of `progress`
  std::function<double()> clock;  ///< seconds; default the monotonic clock
  std::function<int()> stop_signals;  ///< number of stop signals so far: 1 drains, 2 leaves at once
  std::function<void(const Progress&)> progress;
  std::function<void(const results::Judgement&)> judged;  ///< each new row, after it is in the journal
  /// Further items of the plan, known only by what has been judged; asked after every round of messages. May be empty.
  std::function<std::vector<PlannedItem>()> more;
};

enum class Ending {
  complete,  ///< every call of the plan has its judgement in the journal, synced
  stopped,   ///< left before the end because of a stop signal; the same command goes on
};

struct RunOutcome {
  Ending ending = Ending::complete;
  Progress progress;
  int lost_groups = 0;  ///< taken out or without goodbye; above 0, end the MPI world by close_world(false)
};

/// Leases the items of `plan` to `groups` worker groups over `link` and writes what comes back to `journal`.
/// `make_item(i)` renders item i with all its plan[i].calls calls; it must give the same each time. Ends when all
/// is judged or a stop signal has drained, and the groups have said goodbye; what they finish until then is kept.
/// Sends Shutdown to every group in any case, also when it throws.
/// Throws Error: the journal cannot be written, a group reported a fatal error, or every group is lost.
RunOutcome coordinate(comm::Link& link, int groups, const std::vector<PlannedItem>& plan,
                      const std::function<WorkItem(std::uint64_t)>& make_item, results::Journal& journal,
                      const CoordinatorSettings& settings);

}  // namespace assize::cluster
