#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace assize::comm {

/// A message between the coordinator and the leader of a worker group.
struct Message {
  int peer = 0;  ///< sender: group index (0-based) at the coordinator, 0 at a leader
  std::vector<std::byte> bytes;
};

/// One end of the star between the coordinator and the group leaders. Messages of a pair arrive in order.
/// Nothing blocks: `send` takes the bytes at once, `poll` returns at once; idle callers use Backoff.
class Link {
 public:
  virtual ~Link() = default;
  /// Sends to group `peer` (at the coordinator) or to the coordinator (at a leader: peer 0).
  virtual void send(int peer, std::vector<std::byte> bytes) = 0;
  virtual std::optional<Message> poll() = 0;
};

/// The two ends of an in-process star with `groups` leaders: first the coordinator's, then one per leader.
/// Thread-safe.
std::pair<std::unique_ptr<Link>, std::vector<std::unique_ptr<Link>>> make_in_process_star(int groups);

/// Sleeps longer and longer while nothing happens (from `first_ns` doubling to 1 ms), so that idle ranks don't spin.
class Backoff {
 public:
  explicit Backoff(long first_ns = 1000) : first_ns_(first_ns) {}
  void idle();                            ///< nothing to do: sleep
  void busy() { sleep_ns_ = first_ns_; }  ///< something happened

 private:
  long first_ns_;
  long sleep_ns_ = first_ns_;
};

}  // namespace assize::comm
