#pragma once

#include <functional>
#include <string>

#include "cluster/judge.h"
#include "cluster/watchdog.h"
#include "comm/comm.h"
#include "comm/link.h"

namespace assize::cluster {

struct WorkerSettings {
  std::string about;             ///< one line for the coordinator's log: host, device
  double alive_seconds = 1;      ///< a sign of life at least this often, between steps
  double idle_step_seconds = 5;  ///< an idle leader has its group take an empty step this often, so that it knows it alive
  Watchdog* watchdog = nullptr;  ///< is told the phases of this rank
  std::function<double()> clock; ///< seconds; default the monotonic clock
};

/// Works as one rank of a group until the coordinator says Shutdown. `link`: the leader's end (rank 0 of the
/// group), null on the other ranks. Ranks take the same items in step; only the leader sends judgements.
///
/// In a group of one, an exception of the judge is isolated: its items are tried again one by one, and only
/// those that throw alone become failed judgements. In a larger group the other ranks would wait for ever, so an
/// exception is sent to the coordinator as Fatal and thrown. Where the device itself is lost (base::Broken), the leader
/// sends Fatal too, but the group stays without work until the coordinator says Shutdown, since the end of its processes
/// would end the world: a rank that has lost its device takes orders and carries none out; the other ranks' exchange with
/// it must end with base::Broken by itself; and the first order after the leader's is to leave.
///
/// What is finished is spooled before it is sent, where the coordinator has said where; a spool that cannot be
/// written is named in the log and done without.
void run_worker(comm::Comm& group, comm::Link* link, Judge& judge, const WorkerSettings& settings);

}  // namespace assize::cluster
