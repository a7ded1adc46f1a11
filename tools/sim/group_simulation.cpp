#include "group_simulation.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numbers>
#include <queue>
#include <set>

#include "base/noise.h"

namespace assize::sim {

namespace {

using cluster::WorkQueue;

/// Standard normal number `index` of a stream (Box-Muller).
double normal(std::uint64_t stream, std::uint32_t index) {
  const double u = base::noise_uniform(stream, index, 0), v = base::noise_uniform(stream, index, 1);
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

struct Call {
  std::uint64_t item = 0;
  std::uint32_t call = 0;
};

struct Event {
  double seconds = 0;
  int group = 0;
  Call call;
  std::uint64_t id = 0;
  bool operator>(const Event& other) const { return seconds > other.seconds; }
};

class Simulation {
 public:
  explicit Simulation(const Scenario& scenario) : s_(scenario), queue_(plan(), settings()) {}

  Outcome run() {
    groups_.resize(static_cast<std::size_t>(s_.groups));
    for (int group = 0; group < s_.groups; ++group) queue_.group_joined(group, s_.slots, 0);
    lease(0);
    double end = 0;
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      if (dropped_.erase(event.id) > 0) continue;
      end = event.seconds;
      Group& group = groups_[static_cast<std::size_t>(event.group)];
      std::erase_if(group.running, [&](const Event& running) { return running.id == event.id; });
      start_next(event.group, event.seconds);
      const double heard = std::max(event.seconds + s_.message_seconds / 2, coordinator_free_);
      coordinator_free_ = heard + s_.coordinator_seconds;
      queue_.group_alive(event.group, event.seconds);
      const auto taken = queue_.call_finished(event.group, event.call.item, event.call.call,
                                              static_cast<std::uint32_t>(tokens_[event.call.item]));
      for (const int other : taken.others) drop(other, event.call, coordinator_free_ + s_.message_seconds / 2);
      lease(coordinator_free_ + s_.message_seconds / 2);
    }
    double speed = 0, best = 0;
    for (int group = 0; group < s_.groups; ++group) {
      speed += s_.slots / token_seconds(group);
      best = std::max(best, 1 / token_seconds(group));
    }
    Outcome outcome;
    outcome.seconds = end;
    outcome.bound_seconds = std::max(tokens_total_ / speed, *std::max_element(tokens_.begin(), tokens_.end()) / best);
    outcome.idle_share = 1 - busy_seconds_ / (end * s_.groups * s_.slots);
    outcome.coordinator_use = s_.coordinator_seconds * static_cast<double>(queue_.calls_total()) / std::max(end, coordinator_free_);
    outcome.leases = leases_;
    outcome.second_leases = queue_.second_leases();
    return outcome;
  }

 private:
  struct Group {
    std::vector<Event> running;
    std::deque<std::pair<double, Call>> waiting;  ///< there from that time on
  };

  cluster::QueueSettings settings() const {
    cluster::QueueSettings settings;
    settings.lease_seconds = 1e300;
    settings.order = s_.order;
    settings.groups = s_.groups;
    return settings;
  }

  /// Items whose estimate is correlated with their true length, both log-normal.
  std::vector<cluster::PlannedItem> plan() {
    std::vector<cluster::PlannedItem> items;
    const double mean_log = std::log(s_.mean_tokens) - s_.sigma * s_.sigma / 2;
    for (std::size_t i = 0; i < s_.items; ++i) {
      const auto index = static_cast<std::uint32_t>(i);
      const double truth = normal(s_.seed, 2 * index), other = normal(s_.seed, 2 * index + 1);
      const double guess = s_.correlation * truth + std::sqrt(1 - s_.correlation * s_.correlation) * other;
      tokens_.push_back(std::clamp(std::round(std::exp(mean_log + s_.sigma * truth)), 1.0, s_.most_tokens));
      const double expected = std::min(std::exp(mean_log + s_.sigma * guess), s_.most_tokens);
      items.push_back({static_cast<float>(expected * s_.calls), s_.calls, static_cast<float>(expected), 0});
      tokens_total_ += tokens_.back() * s_.calls;
    }
    return items;
  }

  double token_seconds(int group) const {
    return s_.token_seconds * (group >= s_.groups - s_.slow_groups ? s_.slow_factor : 1);
  }

  /// A call that another group has ended. One that ends before the word arrives is in time for nothing either.
  void drop(int id, const Call& call, double seconds) {
    Group& group = groups_[static_cast<std::size_t>(id)];
    const auto same = [&](const Call& other) { return other.item == call.item && other.call == call.call; };
    std::erase_if(group.waiting, [&](const auto& waiting) { return same(waiting.second); });
    const auto running = std::find_if(group.running.begin(), group.running.end(), [&](const Event& e) { return same(e.call); });
    if (running == group.running.end()) return;
    busy_seconds_ -= std::max(0.0, running->seconds - seconds);
    dropped_.insert(running->id);
    group.running.erase(running);
    start_next(id, seconds);
  }

  void lease(double seconds) {
    for (const auto& lease : queue_.advance(seconds).leases) {
      ++leases_;
      Group& group = groups_[static_cast<std::size_t>(lease.group)];
      for (const std::uint32_t call : lease.calls) group.waiting.push_back({seconds, {lease.item, call}});
      start_next(lease.group, seconds);
    }
  }

  /// Fills the free slots of a group.
  void start_next(int id, double now) {
    Group& group = groups_[static_cast<std::size_t>(id)];
    while (group.running.size() < s_.slots && !group.waiting.empty()) {
      const auto [there, call] = group.waiting.front();
      group.waiting.pop_front();
      const double begin = std::max(now, there), length = tokens_[call.item] * token_seconds(id);
      busy_seconds_ += length;
      group.running.push_back({begin + length, id, call, next_event_++});
      events_.push(group.running.back());
    }
  }

  Scenario s_;
  std::vector<double> tokens_;  ///< of a call of item i
  double tokens_total_ = 0;
  WorkQueue queue_;
  std::vector<Group> groups_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::set<std::uint64_t> dropped_;  ///< events that will not be
  std::uint64_t next_event_ = 0;
  double coordinator_free_ = 0;
  double busy_seconds_ = 0;
  std::uint64_t leases_ = 0;
};

}  // namespace

Outcome simulate(const Scenario& scenario) { return Simulation(scenario).run(); }

}  // namespace assize::sim
