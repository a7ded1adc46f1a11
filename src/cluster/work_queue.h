#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace assize::cluster {

/// An item as the queue sees it; its id is its index in the plan.
struct PlannedItem {
  float cost = 1;            ///< estimated work, generated-token equivalents, of all its calls
  std::uint32_t calls = 1;   ///< outstanding calls
};

struct QueueSettings {
  /// A group that holds calls and gives no sign of life for this long is taken out. The limit grows to
  /// `quiet_factor` times the longest silence that any group has come back from.
  double lease_seconds = 600;
  double quiet_factor = 8;
  std::uint32_t deaths_until_failed = 2;  ///< groups an item may end before it is recorded as failed
};

/// What has to be done now.
struct QueueEffects {
  struct Lease {
    int group = 0;
    std::uint64_t item = 0;
    std::vector<std::uint32_t> calls;  ///< outstanding calls of the item
  };
  struct Poisoned {
    std::uint64_t item = 0;
    std::vector<std::uint32_t> calls;  ///< to be recorded as failed; they count as finished
  };
  std::vector<Lease> leases;
  std::vector<int> silent_groups;  ///< taken out: to be cut off
  std::vector<Poisoned> poisoned;
};

/// Which group judges what, as a pure state machine: no clock, no input, no output. Events go in, effects come
/// out of `advance`. Every call of the plan ends exactly once: finished, or in a Poisoned.
///
/// Items are leased costliest first, each as a whole, to the group with the most room, until every group holds a
/// quarter more calls than it judges at the same time. The unfinished calls of a lost group go back in front. An
/// item that was there when a group was lost is a suspect: it is leased alone, so that a second loss names it.
class WorkQueue {
 public:
  WorkQueue(std::vector<PlannedItem> items, const QueueSettings& settings);

  /// A further item, with the next id; it is leased after those that are there.
  void add(const PlannedItem& item);

  void group_joined(int group, std::uint32_t slots, double now_seconds);
  /// Any message of a group.
  void group_alive(int group, double now_seconds);
  /// True if the call was outstanding (leased to whichever group); it is finished now. False: drop it.
  bool call_finished(std::uint64_t item, std::uint32_t call);
  /// The group is gone; its unfinished calls go back.
  void group_lost(int group);
  /// No leases any more; what is leased may end.
  void stop_leasing() { stopped_ = true; }

  QueueEffects advance(double now_seconds);

  bool done() const { return calls_done_ == calls_total_; }
  bool idle() const { return leased_.empty(); }  ///< nothing is with any group
  std::size_t live_groups() const { return groups_.size(); }
  bool has_group(int group) const { return groups_.contains(group); }
  std::uint64_t calls_done() const { return calls_done_; }
  std::uint64_t calls_total() const { return calls_total_; }
  std::uint64_t calls_leased() const;
  double cost_done() const { return cost_done_; }
  double cost_total() const { return cost_total_; }

 private:
  struct Group {
    std::uint32_t slots = 1;
    std::uint32_t calls = 0;  ///< outstanding with it
    double alive_seconds = 0;
    bool has_suspect = false;
  };
  struct Leased {
    int group = 0;
    std::vector<std::uint32_t> calls;  ///< outstanding
  };

  void take_out_silent(double now_seconds, QueueEffects& effects);
  void lease_suspects(double now_seconds, QueueEffects& effects);
  void lease_others(double now_seconds, QueueEffects& effects);
  void lease(int group, std::uint64_t item, std::vector<std::uint32_t> calls, double now_seconds, QueueEffects& effects);
  void count_done(std::uint64_t item, std::size_t calls);

  std::vector<PlannedItem> items_;
  QueueSettings settings_;
  std::vector<std::uint32_t> order_;  ///< items, costliest first
  std::size_t next_ = 0;              ///< in order_: the next item that was never leased
  std::map<std::uint64_t, Leased> leased_;
  std::deque<std::uint64_t> suspects_;  ///< taken back from lost groups, waiting
  std::map<std::uint64_t, std::vector<std::uint32_t>> remaining_;  ///< their outstanding calls
  std::map<std::uint64_t, std::uint32_t> deaths_;
  int quarantine_ = -1;  ///< group that gets no more work until it is empty and can take a suspect
  std::map<int, Group> groups_;
  std::vector<QueueEffects::Poisoned> poisoned_;
  double longest_silence_ = 0;
  bool stopped_ = false;
  std::uint64_t calls_done_ = 0;
  std::uint64_t calls_total_ = 0;
  double cost_done_ = 0;
  double cost_total_ = 0;
};

}  // namespace assize::cluster
