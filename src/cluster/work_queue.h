#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace assize::cluster {

/// An item as the queue sees it; its id is its index in the plan.
struct PlannedItem {
  float cost = 1;           ///< estimated work, generated-token equivalents, of all its calls
  std::uint32_t calls = 1;  ///< outstanding calls
  float output_tokens = 0;  ///< of one call, as the estimate has it; 0: its cost says nothing about outputs
  std::uint32_t suite = 0;  ///< items of one suite have outputs of one kind
};

/// Which item is leased next.
enum class LeaseOrder : std::uint8_t {
  longest_first,  ///< costliest first; costs follow the outputs seen
  fifo,           ///< as planned
  fixed,          ///< item i goes to group i modulo the groups, as shards made before the start would
};

struct QueueSettings {
  /// A group that holds calls and gives no sign of life for this long is taken out. The limit grows to
  /// `quiet_factor` times the longest silence that any group has come back from.
  double lease_seconds = 600;
  double quiet_factor = 8;
  std::uint32_t deaths_until_failed = 2;  ///< groups an item may end before it is recorded as failed
  LeaseOrder order = LeaseOrder::longest_first;
  int groups = 1;  ///< that there will be; LeaseOrder::fixed deals out to them
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
  std::vector<Lease> leases;  ///< a call that is with another group already is a second lease of it
  std::vector<int> silent_groups;  ///< taken out: to be cut off
  std::vector<Poisoned> poisoned;
};

/// Which group judges what, as a pure state machine: no clock, no input, no output. Events go in, effects come
/// out of `advance`. Every call of the plan ends exactly once: finished, or in a Poisoned.
///
/// Items are leased costliest first, each as a whole, to the group with the least load, until every group holds up
/// to a quarter more calls than it judges at the same time. The estimates of items that wait follow the outputs
/// that the calls of their suites have had. When less than one round of calls is left, nothing is leased in advance
/// any more, and the last items, one a group, are leased call by call if their outputs outweigh their prompts, so that
/// no group stands idle beside one that has work to spare; splitting more of them wins nothing and computes their
/// prompts several times. A group that is slower than others gets no item that would keep it busy for
/// longer than the others need for all that waits; a call of it that turns out to take that long is leased to a faster
/// group too, and who ends it first is taken. The unfinished calls of a lost group go back in front. An item that was
/// there when a group was lost is a suspect: it is leased alone, so that a second loss names it.
class WorkQueue {
 public:
  WorkQueue(std::vector<PlannedItem> items, const QueueSettings& settings);

  /// A further item, with the next id; it is leased after those that are there, until costs are learned anew.
  void add(const PlannedItem& item);

  void group_joined(int group, std::uint32_t slots, double now_seconds);
  /// Any message of a group.
  void group_alive(int group, double now_seconds);
  /// What a judgement that has come is worth.
  struct Taken {
    bool counts = false;      ///< the call was outstanding, with whichever group; it is finished now. Else: drop it.
    std::vector<int> others;  ///< further groups that work on the call and need not any more
    explicit operator bool() const { return counts; }
  };
  /// `group` has ended the call with this many tokens generated.
  Taken call_finished(int group, std::uint64_t item, std::uint32_t call, std::uint32_t output_tokens = 0);
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
  std::uint64_t calls_leased() const { return calls_leased_; }
  std::uint64_t second_leases() const { return second_leases_; }  ///< so far
  double cost_done() const { return cost_done_; }
  double cost_total() const { return cost_total_; }
  /// The estimate of an item after what has been seen of its suite.
  double learned_cost(std::uint64_t item) const;

 private:
  struct Group {
    std::uint32_t slots = 1;
    std::uint32_t calls = 0;  ///< outstanding with it, second leases too
    double alive_seconds = 0;
    bool has_suspect = false;
    // Of the calls that it has finished:
    double work_done = 0;     ///< cost
    double work_seconds = 0;  ///< from lease to finish, summed
  };
  /// Calls of one item that one group has.
  struct Part {
    int group = 0;
    double leased_seconds = 0;
    std::vector<std::uint32_t> calls;  ///< outstanding
    bool has(std::uint32_t call) const;
  };
  /// Items that were never leased as a whole, in the order in which they will be.
  struct Lane {
    int group = -1;                    ///< LeaseOrder::fixed: whose they are; -1: anybody's
    std::vector<std::uint32_t> order;  ///< items
    std::size_t next = 0;              ///< in order
    std::uint32_t next_call = 0;       ///< calls of the next item that are leased already
  };
  struct Learned {
    std::uint64_t calls = 0;     ///< that have ended
    double expected_tokens = 0;  ///< of these
    double seen_tokens = 0;
  };

  void take_back(std::uint64_t item, const std::vector<std::uint32_t>& calls);
  void take_out_silent(double now_seconds, QueueEffects& effects);
  void lease_suspects(double now_seconds, QueueEffects& effects);
  void lease_late_again(double now_seconds, QueueEffects& effects);
  int fast_group_with_room() const;
  void lease_others(double now_seconds, QueueEffects& effects);
  void lease_lane(Lane& lane, double now_seconds, QueueEffects& effects);
  void lease(int group, std::uint64_t item, std::vector<std::uint32_t> calls, double now_seconds, QueueEffects& effects);
  int group_for(Lane& lane);
  bool pick_for(const Group& group, Lane& lane);
  double speed(const Group& group) const;
  bool slow(const Group& group) const;
  double waiting_seconds() const;
  void learn_speed(Group& group, const Part& part, std::uint64_t item, std::uint32_t output_tokens);
  bool has_room(const Group& group) const;
  bool splits(const Lane& lane) const;
  void set_calls(int id, Group& group, std::uint32_t calls);
  void count_done(std::uint64_t item, std::size_t calls);
  void learn(std::uint64_t item, std::uint32_t output_tokens);
  void sort_lanes();
  double scale(std::uint32_t suite) const;

  std::vector<PlannedItem> items_;
  QueueSettings settings_;
  std::vector<Lane> lanes_;
  std::uint64_t calls_waiting_ = 0;  ///< never leased
  double cost_waiting_ = 0;          ///< of these
  std::map<std::uint64_t, std::vector<Part>> leased_;
  std::deque<std::uint64_t> suspects_;                             ///< taken back from lost groups, waiting
  std::map<std::uint64_t, std::vector<std::uint32_t>> remaining_;  ///< their outstanding calls
  std::map<std::uint64_t, std::uint32_t> deaths_;
  int quarantine_ = -1;  ///< group that gets no more work until it is empty and can take a suspect
  std::map<int, Group> groups_;
  std::set<std::pair<double, int>> by_load_;  ///< calls / slots and id of every group
  std::uint64_t slots_ = 0;                   ///< of all groups
  double best_speed_ = 0;                     ///< of the groups: cost a second and call
  std::vector<QueueEffects::Poisoned> poisoned_;
  double longest_silence_ = 0;
  double silent_after_seconds_ = -1e300;  ///< before this nobody can have been silent for too long
  bool stopped_ = false;
  std::vector<Learned> learned_;     ///< by suite
  std::uint64_t calls_seen_ = 0;     ///< that taught something
  std::uint64_t next_sort_ = 16;     ///< calls seen when the order is made anew
  std::uint64_t calls_leased_ = 0;  ///< each once
  std::uint64_t second_leases_ = 0;
  std::uint64_t next_look_ = 0;  ///< calls done when late calls are looked for again
  std::uint64_t calls_done_ = 0;
  std::uint64_t calls_total_ = 0;
  double cost_done_ = 0;
  double cost_total_ = 0;
};

}  // namespace assize::cluster
