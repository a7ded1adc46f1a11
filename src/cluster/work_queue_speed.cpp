// What the work queue does about groups of different speeds.
#include <algorithm>

#include "cluster/work_queue.h"

namespace assize::cluster {

namespace {

/// A group at less than this part of the best speed is slow.
constexpr double kSlow = 0.8;
/// A call that runs may come to this many times the tokens that it has: outputs are log-normal or worse, and it is the
/// longest of many calls that ends a run.
constexpr double kMayGrow = 3;
constexpr std::size_t kLooksPerCall = 32;

}  // namespace

/// A group's speed from what its calls took, waiting included.
void WorkQueue::learn_speed(Group& group, const Part& part, std::uint64_t item, std::uint32_t output_tokens) {
  const PlannedItem& planned = items_[item];
  const double seconds = group.alive_seconds - part.leased_seconds;
  if (seconds <= 0 || output_tokens == 0) return;
  const double fixed = planned.cost / planned.calls - planned.output_tokens;
  group.work_done += std::max(0.0, fixed) + output_tokens;
  group.work_seconds += seconds;
  // All groups are looked at once for as many calls as there are groups.
  if (calls_done_ % groups_.size() != 0) return;
  best_speed_ = 0;
  for (const auto& [id, other] : groups_) best_speed_ = std::max(best_speed_, speed(other));
}

double WorkQueue::speed(const Group& group) const {
  return group.work_seconds > 0 ? group.work_done / group.work_seconds : 0;
}

/// Not true of a group whose speed is not known yet.
bool WorkQueue::slow(const Group& group) const {
  const double own = speed(group);
  return own > 0 && own < kSlow * best_speed_;
}

/// How long the groups need for all that was never leased.
double WorkQueue::waiting_seconds() const { return cost_waiting_ / (best_speed_ * static_cast<double>(slots_)); }

/// Brings the next item that the group may take to the front of the lane. False: there is none.
bool WorkQueue::pick_for(const Group& group, Lane& lane) {
  if (settings_.order != LeaseOrder::longest_first || !slow(group)) return true;
  const double own = speed(group), others_seconds = waiting_seconds();
  const auto fits = [&](std::uint32_t item) { return learned_cost(item) / items_[item].calls / own <= others_seconds; };
  if (lane.next_call > 0) return fits(lane.order[lane.next]);
  const auto begin = lane.order.begin() + static_cast<std::ptrdiff_t>(lane.next);
  // The order is by cost of all calls, which falls: a search by halves finds the first that fits where calls are equal.
  const auto found = std::partition_point(begin, lane.order.end(), [&](std::uint32_t item) { return !fits(item); });
  if (found == lane.order.end()) return false;
  std::rotate(begin, found, found + 1);
  return true;
}

/// The fast group with the least load, if it has room; -1: none.
int WorkQueue::fast_group_with_room() const {
  for (const auto& [load, id] : by_load_) {
    const Group& group = groups_.at(id);
    if (group.has_suspect || id == quarantine_ || slow(group)) continue;
    return has_room(group) ? id : -1;
  }
  return -1;
}

/// Calls of slow groups that may end after all that waits, and would end sooner at a fast group, go there too: the
/// latest first, while there is room. The first answer counts; both have the same bits.
void WorkQueue::lease_late_again(double now_seconds, QueueEffects& effects) {
  // Seldom enough that a call that ends pays for a look at few others.
  if (settings_.order != LeaseOrder::longest_first || calls_done_ < next_look_) return;
  next_look_ = calls_done_ + leased_.size() / kLooksPerCall;
  std::map<int, double> speeds;  // of slow groups
  for (const auto& [id, group] : groups_) {
    if (slow(group) && !group.has_suspect) speeds[id] = speed(group);
  }
  if (speeds.empty() || fast_group_with_room() < 0) return;
  struct Late {
    double seconds;  ///< from now to its end
    std::uint64_t item;
    std::uint32_t call;
  };
  std::vector<Late> late;
  for (const auto& [item, parts] : leased_) {
    for (const Part& part : parts) {
      const auto own = speeds.find(part.group);
      if (own == speeds.end()) continue;
      const double elapsed = now_seconds - part.leased_seconds;
      const double cost = std::max(learned_cost(item) / items_[item].calls, kMayGrow * elapsed * own->second);
      const double seconds = cost / own->second - elapsed;
      if (seconds <= waiting_seconds() || seconds <= cost / best_speed_) continue;
      for (const std::uint32_t call : part.calls) {
        const auto has_it = [&](const Part& p) { return p.has(call); };
        if (std::count_if(parts.begin(), parts.end(), has_it) == 1) late.push_back({seconds, item, call});
      }
    }
  }
  std::stable_sort(late.begin(), late.end(), [](const Late& a, const Late& b) { return a.seconds > b.seconds; });
  for (const Late& call : late) {
    const int group = fast_group_with_room();
    if (group < 0) return;
    lease(group, call.item, {call.call}, now_seconds, effects);
    ++second_leases_;
  }
}

}  // namespace assize::cluster
