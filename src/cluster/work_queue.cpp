#include "cluster/work_queue.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace assize::cluster {

namespace {

/// Calls a group may hold: a quarter more than it judges at once, so that it never runs dry while a lease is on
/// its way.
std::uint32_t room_of(std::uint32_t slots) { return slots + std::max(1u, slots / 4); }

bool erase_call(std::vector<std::uint32_t>& calls, std::uint32_t call) {
  const auto at = std::find(calls.begin(), calls.end(), call);
  if (at == calls.end()) return false;
  calls.erase(at);
  return true;
}

}  // namespace

WorkQueue::WorkQueue(std::vector<PlannedItem> items, const QueueSettings& settings)
    : items_(std::move(items)), settings_(settings), order_(items_.size()) {
  std::iota(order_.begin(), order_.end(), 0u);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return items_[a].cost > items_[b].cost; });
  for (const PlannedItem& item : items_) {
    calls_total_ += item.calls;
    if (item.calls > 0) cost_total_ += item.cost;
  }
}

void WorkQueue::add(const PlannedItem& item) {
  order_.push_back(static_cast<std::uint32_t>(items_.size()));
  items_.push_back(item);
  calls_total_ += item.calls;
  if (item.calls > 0) cost_total_ += item.cost;
}

void WorkQueue::group_joined(int group, std::uint32_t slots, double now_seconds) {
  groups_[group] = {std::max(1u, slots), 0, now_seconds, false};
}

void WorkQueue::group_alive(int group, double now_seconds) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  if (found->second.calls > 0) longest_silence_ = std::max(longest_silence_, now_seconds - found->second.alive_seconds);
  found->second.alive_seconds = now_seconds;
}

bool WorkQueue::call_finished(std::uint64_t item, std::uint32_t call) {
  if (const auto found = leased_.find(item); found != leased_.end()) {
    if (!erase_call(found->second.calls, call)) return false;
    Group& group = groups_.at(found->second.group);
    --group.calls;
    if (found->second.calls.empty()) {
      leased_.erase(found);
      if (group.calls == 0) group.has_suspect = false;
    }
    count_done(item, 1);
    return true;
  }
  // A group that was taken out may still bring what it had.
  if (const auto found = remaining_.find(item); found != remaining_.end()) {
    if (!erase_call(found->second, call)) return false;
    if (found->second.empty()) {
      remaining_.erase(found);
      suspects_.erase(std::find(suspects_.begin(), suspects_.end(), item));
    }
    count_done(item, 1);
    return true;
  }
  return false;
}

void WorkQueue::group_lost(int group) {
  if (groups_.erase(group) == 0) return;
  for (auto at = leased_.begin(); at != leased_.end();) {
    if (at->second.group != group) {
      ++at;
      continue;
    }
    const std::uint64_t item = at->first;
    if (++deaths_[item] >= settings_.deaths_until_failed) {
      count_done(item, at->second.calls.size());
      poisoned_.push_back({item, std::move(at->second.calls)});
    } else {
      remaining_[item] = std::move(at->second.calls);
      suspects_.push_back(item);
    }
    at = leased_.erase(at);
  }
  if (quarantine_ == group) quarantine_ = -1;
}

QueueEffects WorkQueue::advance(double now_seconds) {
  QueueEffects effects;
  take_out_silent(now_seconds, effects);
  effects.poisoned = std::exchange(poisoned_, {});
  if (!stopped_) {
    lease_suspects(now_seconds, effects);
    lease_others(now_seconds, effects);
  }
  return effects;
}

std::uint64_t WorkQueue::calls_leased() const {
  std::uint64_t calls = 0;
  for (const auto& [id, group] : groups_) calls += group.calls;
  return calls;
}

void WorkQueue::take_out_silent(double now_seconds, QueueEffects& effects) {
  const double limit = std::max(settings_.lease_seconds, settings_.quiet_factor * longest_silence_);
  for (const auto& [id, group] : groups_) {
    if (group.calls > 0 && now_seconds - group.alive_seconds > limit) effects.silent_groups.push_back(id);
  }
  for (int group : effects.silent_groups) group_lost(group);
}

/// Suspects go alone to groups that are empty; if all are busy, one of them is kept from new work.
void WorkQueue::lease_suspects(double now_seconds, QueueEffects& effects) {
  for (auto& [id, group] : groups_) {
    if (suspects_.empty()) break;
    if (group.calls > 0) continue;
    const std::uint64_t item = suspects_.front();
    suspects_.pop_front();
    group.has_suspect = true;
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

void WorkQueue::lease_others(double now_seconds, QueueEffects& effects) {
  while (next_ < order_.size()) {
    const std::uint32_t item = order_[next_];
    if (items_[item].calls == 0) {
      ++next_;
      continue;
    }
    int best = -1;
    double best_fill = 1;
    for (const auto& [id, group] : groups_) {
      if (group.has_suspect || id == quarantine_) continue;
      const double fill = static_cast<double>(group.calls) / room_of(group.slots);
      if (fill < best_fill) {
        best = id;
        best_fill = fill;
      }
    }
    if (best < 0) return;
    ++next_;
    std::vector<std::uint32_t> calls(items_[item].calls);
    std::iota(calls.begin(), calls.end(), 0u);
    lease(best, item, std::move(calls), now_seconds, effects);
  }
}

void WorkQueue::lease(int id, std::uint64_t item, std::vector<std::uint32_t> calls, double now_seconds,
                      QueueEffects& effects) {
  Group& group = groups_.at(id);
  if (group.calls == 0) group.alive_seconds = now_seconds;  // it was silent because it had nothing to do
  group.calls += static_cast<std::uint32_t>(calls.size());
  effects.leases.push_back({id, item, calls});
  leased_[item] = {id, std::move(calls)};
}

void WorkQueue::count_done(std::uint64_t item, std::size_t calls) {
  calls_done_ += calls;
  cost_done_ += static_cast<double>(items_[item].cost) * static_cast<double>(calls) / items_[item].calls;
}

}  // namespace assize::cluster
