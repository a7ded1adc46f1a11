#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "cluster/group_counters.h"
#include "cluster/work_item.h"
#include "results/judgement.h"

namespace assize::cluster {

// Leader -> coordinator.

/// First message of a leader: its group is loaded and wants work.
struct Hello {
  std::uint32_t slots = 1;  ///< calls it judges at the same time
  std::string about;        ///< one line for the log: host, device
  Ceiling ceiling;
};
/// One call has ended.
struct Finished {
  results::Judgement judgement;
};
/// Sign of life between steps.
struct Alive {
  GroupCounters counters;
};
/// The group cannot go on. The run ends with this error where the job is wrong or no other group is left.
struct Fatal {
  std::string message;
  base::ErrorKind kind = base::ErrorKind::failed;
};
/// Last message of a leader, after Shutdown.
struct Bye {};

// Coordinator -> leader.

/// First message to a leader, after its Hello: where it spools what it finishes (results/spool.h).
struct Welcome {
  std::string run_folder;
  std::string identity;  ///< of the journal
  std::uint32_t epoch = 0;
  std::int32_t group = 0;
};
/// Work to do: the calls of `item` that are outstanding.
struct Lease {
  WorkItem item;
};
/// A call that another group has ended: it need not be judged any more. Unknown calls do no harm.
struct Drop {
  base::Hash128 call;  ///< digest of its key
};
/// A new run begins: say Hello again and count from here.
struct Restart {};
/// No more work: leave after the current step, whatever is unfinished.
struct Shutdown {};

using Message = std::variant<Hello, Finished, Alive, Fatal, Bye, Lease, Shutdown, Welcome, Restart, Drop>;

std::vector<std::byte> encode(const Message& message);
/// Throws Error on anything that `encode` did not write.
Message decode(std::span<const std::byte> bytes);

/// What a leader tells its group before each step: items to take on, then calls to drop. An empty message (go on) is
/// encoded as no bytes.
struct StepOrder {
  enum class Next : std::uint8_t { step, leave } next = Next::step;
  std::vector<WorkItem> items;
  std::vector<base::Hash128> drops;
};
std::vector<std::byte> encode(const StepOrder& order);
StepOrder decode_step_order(std::span<const std::byte> bytes);

}  // namespace assize::cluster
