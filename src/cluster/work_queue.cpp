#include "cluster/work_queue.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace assize::cluster {

namespace {

/// The estimate counts as much as this many calls that have been seen.
constexpr double kPriorCalls = 8;

double load_of(std::uint32_t calls, std::uint32_t slots) { return static_cast<double>(calls) / slots; }

bool erase_call(std::vector<std::uint32_t>& calls, std::uint32_t call) {
  const auto at = std::find(calls.begin(), calls.end(), call);
  if (at == calls.end()) return false;
  calls.erase(at);
  return true;
}

}  // namespace

bool WorkQueue::Part::has(std::uint32_t call) const { return std::find(calls.begin(), calls.end(), call) != calls.end(); }

WorkQueue::WorkQueue(std::vector<PlannedItem> items, const QueueSettings& settings) : settings_(settings) {
  const bool fixed = settings_.order == LeaseOrder::fixed;
  lanes_.resize(fixed ? static_cast<std::size_t>(std::max(1, settings_.groups)) : 1);
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) lanes_[lane].group = fixed ? static_cast<int>(lane) : -1;
  items_.reserve(items.size());
  for (const PlannedItem& item : items) add(item);
  sort_lanes();
}

void WorkQueue::add(const PlannedItem& item) {
  const auto id = static_cast<std::uint32_t>(items_.size());
  items_.push_back(item);
  if (item.calls == 0) return;
  calls_total_ += item.calls;
  calls_waiting_ += item.calls;
  cost_total_ += item.cost;
  cost_waiting_ += item.cost;
  lanes_[id % lanes_.size()].order.push_back(id);
  if (item.suite >= learned_.size()) learned_.resize(item.suite + std::size_t{1});
}

void WorkQueue::group_joined(int group, std::uint32_t slots, double now_seconds) {
  groups_[group] = {std::max(1u, slots), 0, now_seconds, false, 0, 0};
  slots_ += groups_[group].slots;
  by_load_.insert({0, group});
}

void WorkQueue::group_alive(int group, double now_seconds) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  if (found->second.calls > 0) longest_silence_ = std::max(longest_silence_, now_seconds - found->second.alive_seconds);
  found->second.alive_seconds = now_seconds;
}

WorkQueue::Taken WorkQueue::call_finished(int group, std::uint64_t item, std::uint32_t call, std::uint32_t output_tokens) {
  Taken taken;
  if (const auto found = leased_.find(item); found != leased_.end()) {
    for (Part& part : found->second) {
      if (!erase_call(part.calls, call)) continue;
      taken.counts = true;
      Group& holder = groups_.at(part.group);
      set_calls(part.group, holder, holder.calls - 1);
      if (holder.calls == 0) holder.has_suspect = false;
      if (part.group == group) {
        learn_speed(holder, part, item, output_tokens);
      } else {
        taken.others.push_back(part.group);
      }
    }
    std::erase_if(found->second, [](const Part& part) { return part.calls.empty(); });
    if (found->second.empty()) leased_.erase(found);
  }
  if (taken.counts) {
    --calls_leased_;
    count_done(item, 1);
    learn(item, output_tokens);
    return taken;
  }
  // A group that was taken out may still bring what it had.
  const auto found = remaining_.find(item);
  if (found == remaining_.end() || !erase_call(found->second, call)) return taken;
  if (found->second.empty()) {
    remaining_.erase(found);
    suspects_.erase(std::find(suspects_.begin(), suspects_.end(), item));
  }
  count_done(item, 1);
  taken.counts = true;
  return taken;
}

void WorkQueue::group_lost(int group) {
  const auto lost = groups_.find(group);
  if (lost == groups_.end()) return;
  by_load_.erase({load_of(lost->second.calls, lost->second.slots), group});
  slots_ -= lost->second.slots;
  groups_.erase(lost);
  for (auto at = leased_.begin(); at != leased_.end();) {
    const std::uint64_t item = at->first;
    std::vector<Part>& parts = at->second;
    const auto part = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.group == group; });
    if (part == parts.end()) {
      ++at;
      continue;
    }
    std::vector<std::uint32_t> back = std::move(part->calls);
    parts.erase(part);
    std::erase_if(back, [&](std::uint32_t call) { return std::any_of(parts.begin(), parts.end(), [&](const Part& p) { return p.has(call); }); });
    calls_leased_ -= back.size();
    take_back(item, back);
    at = parts.empty() ? leased_.erase(at) : std::next(at);
  }
  if (quarantine_ == group) quarantine_ = -1;
}

/// Calls of a lost group: to be leased again, or poisoned with what already waits of the item.
void WorkQueue::take_back(std::uint64_t item, const std::vector<std::uint32_t>& calls) {
  const bool poisoned = ++deaths_[item] >= settings_.deaths_until_failed;
  const auto found = remaining_.find(item);
  if (calls.empty() && (found == remaining_.end() || !poisoned)) return;
  const auto [waiting, fresh] = remaining_.try_emplace(item);
  waiting->second.insert(waiting->second.end(), calls.begin(), calls.end());
  if (fresh) suspects_.push_back(item);
  if (!poisoned) return;
  count_done(item, waiting->second.size());
  poisoned_.push_back({item, std::move(waiting->second)});
  remaining_.erase(waiting);
  suspects_.erase(std::find(suspects_.begin(), suspects_.end(), item));
}

QueueEffects WorkQueue::advance(double now_seconds) {
  QueueEffects effects;
  take_out_silent(now_seconds, effects);
  if (!stopped_) {
    lease_suspects(now_seconds, effects);
    lease_late_again(now_seconds, effects);
    lease_others(now_seconds, effects);
  }
  effects.poisoned = std::exchange(poisoned_, {});
  return effects;
}

double WorkQueue::scale(std::uint32_t suite) const {
  const Learned& learned = learned_[suite];
  if (learned.calls == 0) return 1;
  const double prior = kPriorCalls * learned.expected_tokens / static_cast<double>(learned.calls);
  return (learned.seen_tokens + prior) / (learned.expected_tokens + prior);
}

double WorkQueue::learned_cost(std::uint64_t item) const {
  const PlannedItem& planned = items_[item];
  const double outputs = static_cast<double>(planned.output_tokens) * planned.calls;
  return planned.cost + outputs * (scale(planned.suite) - 1);
}

void WorkQueue::learn(std::uint64_t item, std::uint32_t output_tokens) {
  const PlannedItem& planned = items_[item];
  if (settings_.order != LeaseOrder::longest_first || planned.output_tokens <= 0 || output_tokens == 0) return;
  Learned& learned = learned_[planned.suite];
  ++learned.calls;
  learned.expected_tokens += planned.output_tokens;
  learned.seen_tokens += output_tokens;
  if (++calls_seen_ < next_sort_) return;
  next_sort_ = 2 * calls_seen_;
  sort_lanes();
}

/// Orders the items of which no call is leased yet.
void WorkQueue::sort_lanes() {
  if (settings_.order != LeaseOrder::longest_first) return;
  std::vector<double> scales;
  for (std::uint32_t suite = 0; suite < learned_.size(); ++suite) scales.push_back(scale(suite));
  std::vector<float> costs(items_.size());
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const PlannedItem& planned = items_[i];
    if (planned.calls == 0) continue;
    costs[i] = static_cast<float>(planned.cost + planned.output_tokens * planned.calls * (scales[planned.suite] - 1));
  }
  for (Lane& lane : lanes_) {
    const auto begin = lane.order.begin() + static_cast<std::ptrdiff_t>(lane.next + (lane.next_call > 0));
    std::stable_sort(begin, lane.order.end(), [&](std::uint32_t a, std::uint32_t b) { return costs[a] > costs[b]; });
  }
}

void WorkQueue::take_out_silent(double now_seconds, QueueEffects& effects) {
  if (now_seconds <= silent_after_seconds_) return;
  const double limit = std::max(settings_.lease_seconds, settings_.quiet_factor * longest_silence_);
  double last_sign = now_seconds;
  for (const auto& [id, group] : groups_) {
    if (group.calls == 0) continue;
    if (now_seconds - group.alive_seconds > limit) effects.silent_groups.push_back(id);
    last_sign = std::min(last_sign, group.alive_seconds);
  }
  silent_after_seconds_ = last_sign + limit;
  for (int group : effects.silent_groups) group_lost(group);
}

/// Suspects go alone to groups that are empty; if all are busy, one of them is kept from new work.
void WorkQueue::lease_suspects(double now_seconds, QueueEffects& effects) {
  quarantine_ = suspects_.empty() ? -1 : quarantine_;
  if (suspects_.empty()) return;
  for (auto& [id, group] : groups_) {
    if (suspects_.empty()) break;
    if (group.calls > 0) continue;
    const std::uint64_t item = suspects_.front();
    suspects_.pop_front();
    group.has_suspect = true;
    calls_leased_ += remaining_.at(item).size();
    lease(id, item, std::move(remaining_.at(item)), now_seconds, effects);
    remaining_.erase(item);
  }
  const auto examines = [](const auto& entry) { return entry.second.has_suspect; };
  if (suspects_.empty()) {
    quarantine_ = -1;
  } else if (!groups_.empty() && std::none_of(groups_.begin(), groups_.end(), examines)) {
    const auto fewer = [](const auto& a, const auto& b) { return a.second.calls < b.second.calls; };
    quarantine_ = std::min_element(groups_.begin(), groups_.end(), fewer)->first;
  }
}

/// Calls a group may hold: a quarter more than it judges at once, so that it never runs dry while a lease is on its
/// way; less when that would take work from groups that have none.
bool WorkQueue::has_room(const Group& group) const {
  const std::uint64_t ahead = std::max(1u, group.slots / 4);
  return group.calls < group.slots + std::min<std::uint64_t>(ahead, calls_waiting_ / (2 * groups_.size()));
}

/// The group with the least load that the next item of the lane may go to and that has room; -1: none. For a slow
/// group another item may be brought to the front.
int WorkQueue::group_for(Lane& lane) {
  if (const auto own = groups_.find(lane.group); own != groups_.end()) {
    return !own->second.has_suspect && own->first != quarantine_ && has_room(own->second) ? own->first : -1;
  }
  for (const auto& [load, id] : by_load_) {
    const Group& group = groups_.at(id);
    if (group.has_suspect || id == quarantine_) continue;
    if (!has_room(group)) return -1;
    if (pick_for(group, lane)) return id;
  }
  return -1;
}

/// Whether the next item of a lane goes call by call to several groups, each of which computes its prompts: at the end,
/// where that costs less than it wins.
bool WorkQueue::splits(const Lane& lane) const {
  if (settings_.order == LeaseOrder::fixed || groups_.size() < 2) return false;
  const bool at_end = calls_waiting_ < slots_ && lane.order.size() - lane.next <= groups_.size();
  const PlannedItem& item = items_[lane.order[lane.next]];
  return at_end && 2 * static_cast<double>(item.output_tokens) * item.calls >= item.cost;
}

void WorkQueue::lease_others(double now_seconds, QueueEffects& effects) {
  for (Lane& lane : lanes_) lease_lane(lane, now_seconds, effects);
}

void WorkQueue::lease_lane(Lane& lane, double now_seconds, QueueEffects& effects) {
  while (lane.next < lane.order.size()) {
    // Of an item that is split, the groups that its first calls went to may be lost by now.
    const auto deaths = lane.next_call > 0 ? deaths_.find(lane.order[lane.next]) : deaths_.end();
    const bool poisoned = deaths != deaths_.end() && deaths->second >= settings_.deaths_until_failed;
    const int group = poisoned ? -1 : group_for(lane);
    if (group < 0 && !poisoned) return;
    const std::uint32_t item = lane.order[lane.next];
    std::vector<std::uint32_t> calls(!poisoned && splits(lane) ? 1 : items_[item].calls - lane.next_call);
    std::iota(calls.begin(), calls.end(), lane.next_call);
    calls_waiting_ -= calls.size();
    cost_waiting_ -= static_cast<double>(items_[item].cost) * static_cast<double>(calls.size()) / items_[item].calls;
    lane.next_call += static_cast<std::uint32_t>(calls.size());
    if (lane.next_call == items_[item].calls) {
      ++lane.next;
      lane.next_call = 0;
    }
    if (poisoned) {
      count_done(item, calls.size());
      poisoned_.push_back({item, std::move(calls)});
    } else {
      calls_leased_ += calls.size();
      lease(group, item, std::move(calls), now_seconds, effects);
    }
  }
}

void WorkQueue::lease(int id, std::uint64_t item, std::vector<std::uint32_t> calls, double now_seconds,
                      QueueEffects& effects) {
  Group& group = groups_.at(id);
  if (group.calls == 0) group.alive_seconds = now_seconds;  // it was silent because it had nothing to do
  set_calls(id, group, group.calls + static_cast<std::uint32_t>(calls.size()));
  std::vector<Part>& parts = leased_[item];
  const auto part = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.group == id; });
  if (part == parts.end()) {
    parts.push_back({id, now_seconds, calls});
  } else {
    part->calls.insert(part->calls.end(), calls.begin(), calls.end());
  }
  effects.leases.push_back({id, item, std::move(calls)});
}

void WorkQueue::set_calls(int id, Group& group, std::uint32_t calls) {
  by_load_.erase({load_of(group.calls, group.slots), id});
  group.calls = calls;
  by_load_.insert({load_of(group.calls, group.slots), id});
}

void WorkQueue::count_done(std::uint64_t item, std::size_t calls) {
  calls_done_ += calls;
  cost_done_ += static_cast<double>(items_[item].cost) * static_cast<double>(calls) / items_[item].calls;
}

}  // namespace assize::cluster
