#include "cluster/coordinator.h"

#include <filesystem>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cluster/judge.h"

namespace assize::cluster {

namespace {

using base::Error;
using base::ErrorKind;
using base::LogLevel;

/// The coordinator's rest after it has taken all messages. Groups have work in advance, so that half a millisecond costs
/// nothing; shorter rests under thousands of judgements a second are mostly system calls.
constexpr long kRestNs = 500'000;

class Coordinator {
 public:
  Coordinator(comm::Link& link, int groups, const std::vector<PlannedItem>& plan,
              const std::function<WorkItem(std::uint64_t)>& make_item, results::Journal& journal,
              const CoordinatorSettings& settings)
      : link_(link), make_item_(make_item), journal_(journal), settings_(settings), queue_(plan, queue_settings(groups)) {
    if (!settings_.clock) settings_.clock = base::monotonic_seconds;
    started_seconds_ = settings_.clock();
    progress_.groups.resize(static_cast<std::size_t>(groups));
    if (settings_.restart) {
      for (int group = 0; group < groups; ++group) link_.send(group, encode(Restart{}));
    }
  }

  /// Until all is done, or drained after a stop signal.
  Ending run() {
    comm::Backoff backoff(kRestNs);
    while (true) {
      const double now = settings_.clock();
      watch_stop_signals(now);
      const bool received = receive(now);
      if (!settings_.wait_for_all || all_joined()) perform(queue_.advance(now), now);
      journal_.tick();
      if (settings_.more) {
        for (const PlannedItem& item : settings_.more()) queue_.add(item);
      }
      if (queue_.done() && (!settings_.wait_for_all || all_joined())) return Ending::complete;
      if (stopping_ && (queue_.idle() || now >= drained_by_seconds_ || signals_ > 1)) return Ending::stopped;
      if (!parked_.empty() && all_joined() && queue_.live_groups() == 0) take_parked_groups(now);
      if (lost_groups_ > 0 && queue_.live_groups() == 0 && all_joined()) {
        throw Error("every worker group has gone silent; run the same command again, it goes on from here",
                    ErrorKind::failed);
      }
      tell_progress(now);
      if (received) {
        backoff.busy();
      } else {
        backoff.idle();
      }
    }
  }

  /// Sends Shutdown and takes what still comes, so that no message is under way when the world ends.
  void take_leave() {
    shut_down();
    const double until = settings_.clock() + (signals_ > 1 ? 2 : settings_.farewell_seconds);
    comm::Backoff backoff;
    while (true) {
      const double now = settings_.clock();
      if (receive(now)) backoff.busy();
      bool waiting = false;
      for (const Progress::Group& group : progress_.groups) waiting = waiting || (group.joined && !group.lost && !group.gone);
      if (!waiting) return;
      if (now >= until) break;
      backoff.idle();
    }
    for (std::size_t group = 0; group < progress_.groups.size(); ++group) {
      const Progress::Group& state = progress_.groups[group];
      if (state.joined && !state.gone) lose(static_cast<int>(group), "does not say goodbye");
    }
  }

  void shut_down() {
    if (std::exchange(shut_down_, true)) return;
    for (std::size_t group = 0; group < progress_.groups.size(); ++group) {
      link_.send(static_cast<int>(group), encode(Shutdown{}));
    }
  }

  RunOutcome outcome(Ending ending) {
    fill_progress(settings_.clock());
    progress_.state = Progress::State::ended;
    if (settings_.progress) settings_.progress(progress_);
    return {ending, progress_, lost_groups_};
  }

 private:
  QueueSettings queue_settings(int groups) const {
    QueueSettings queue = settings_.queue;
    queue.groups = settings_.use_groups > 0 ? settings_.use_groups : groups;
    return queue;
  }

  struct Place {
    std::uint64_t item;
    std::uint32_t call;
    double leased_seconds;
  };

  void watch_stop_signals(double now) {
    signals_ = settings_.stop_signals ? settings_.stop_signals() : 0;
    if (signals_ == 0 || stopping_) return;
    stopping_ = true;
    drained_by_seconds_ = now + settings_.drain_seconds;
    queue_.stop_leasing();
    base::log(LogLevel::warning, "asked to stop: no new work; " + std::to_string(queue_.calls_leased()) +
                                     " running calls may end within " +
                                     std::to_string(static_cast<long>(settings_.drain_seconds)) + " s");
  }

  bool receive(double now) {
    bool any = false;
    while (auto message = link_.poll()) {
      any = true;
      queue_.group_alive(message->peer, now);
      std::optional<Message> decoded;
      try {
        decoded = decode(message->bytes);
      } catch (const Error& error) {
        lose(message->peer, std::string("sends garbage (") + error.what() + ")");
        continue;
      }
      handle(message->peer, std::move(*decoded), now);
    }
    return any;
  }

  void handle(int peer, Message&& message, double now) {
    Progress::Group& group = progress_.groups.at(static_cast<std::size_t>(peer));
    if (auto* finished = std::get_if<Finished>(&message)) {
      take(std::move(finished->judgement), peer, now);
    } else if (auto* alive = std::get_if<Alive>(&message)) {
      group.counters = alive->counters;
    } else if (auto* hello = std::get_if<Hello>(&message)) {
      group.joined = true;
      group.slots = hello->slots;
      group.ceiling = hello->ceiling;
      group.about = hello->about;
      if (settings_.spools) {
        link_.send(peer, encode(Welcome{std::filesystem::absolute(journal_.folder()).string(), journal_.identity(),
                                        journal_.summary().epoch, peer}));
      }
      if (settings_.left_out.contains(hello->about)) {
        parked_[peer] = hello->slots;
        base::log(LogLevel::warning, "group " + std::to_string(peer) + " (" + hello->about +
                                         ") hampered two launches of this run; it is left out (faults.jsonl says why)");
      } else {
        if (settings_.use_groups == 0 || peer < settings_.use_groups) queue_.group_joined(peer, hello->slots, now);
        base::log(LogLevel::info, "group " + std::to_string(peer) + " is ready: " + hello->about);
      }
    } else if (std::holds_alternative<Bye>(message)) {
      group.gone = true;
    } else if (auto* fatal = std::get_if<Fatal>(&message)) {
      // A wrong job or model is no fault of the group that found it.
      if (fatal->kind == ErrorKind::failed && group.joined && others_are_there(peer)) {
        return lose(peer, "cannot go on: " + fatal->message);
      }
      if (settings_.fault && group.joined && fatal->kind == ErrorKind::failed) settings_.fault(group.about, fatal->message);
      throw Error("worker group " + std::to_string(peer) + ": " + fatal->message, fatal->kind);
    } else {
      lose(peer, "sends messages that only the coordinator may send");
    }
  }

  void take(results::Judgement&& judgement, int peer, double now) {
    const base::Hash128 digest = base::digest(judgement.key);
    const auto place = places_.find(digest);
    const auto tokens = static_cast<std::uint32_t>(judgement.token_ids.size());
    const auto taken = place == places_.end()
                           ? WorkQueue::Taken{}
                           : queue_.call_finished(peer, place->second.item, place->second.call, tokens);
    if (!taken) {
      ++progress_.dropped;
      return;
    }
    for (const int other : taken.others) link_.send(other, encode(Drop{digest}));
    judgement.group = peer;
    judgement.seconds = now - place->second.leased_seconds;
    progress_.last_judgement_seconds = now - started_seconds_;
    places_.erase(place);
    record(judgement);
  }

  void record(const results::Judgement& judgement) {
    if (!journal_.append(judgement)) ++progress_.dropped;
    progress_.failed += judgement.status == results::Status::failed;
    progress_.truncated += judgement.status == results::Status::truncated;
    if (settings_.judged) settings_.judged(judgement);
  }

  void lose(int group, const std::string& why) {
    Progress::Group& state = progress_.groups.at(static_cast<std::size_t>(group));
    if (state.lost) return;
    state.lost = true;
    ++lost_groups_;
    queue_.group_lost(group);
    parked_.erase(group);
    if (settings_.fault) settings_.fault(state.about, why);
    base::log(LogLevel::error, "group " + std::to_string(group) + " " + why + "; it is taken out, its calls go back");
  }

  void perform(const QueueEffects& effects, double now) {
    for (int group : effects.silent_groups) lose(group, "gives no sign of life");
    for (const QueueEffects::Poisoned& poisoned : effects.poisoned) {
      const WorkItem item = make_item_(poisoned.item);
      for (std::uint32_t call : poisoned.calls) {
        places_.erase(base::digest(item.calls.at(call).key));
        record(failed_judgement(item, item.calls.at(call), "every worker group that worked on it was lost"));
      }
    }
    if (!effects.leases.empty() && progress_.first_lease_seconds == 0) {
      progress_.first_lease_seconds = now - started_seconds_;
    }
    for (const QueueEffects::Lease& lease : effects.leases) {
      WorkItem item = make_item_(lease.item);
      item.id = lease.item;
      std::vector<WorkCall> calls;
      for (std::uint32_t call : lease.calls) {
        places_[base::digest(item.calls.at(call).key)] = {lease.item, call, now};
        calls.push_back(std::move(item.calls.at(call)));
      }
      item.calls = std::move(calls);
      link_.send(lease.group, encode(Lease{std::move(item)}));
    }
  }

  void take_parked_groups(double now) {
    base::log(LogLevel::warning, "no other group is left: the groups that were left out get work after all");
    for (const auto& [group, slots] : std::exchange(parked_, {})) {
      if (!progress_.groups.at(static_cast<std::size_t>(group)).lost) queue_.group_joined(group, slots, now);
    }
  }

  bool others_are_there(int group) const {
    for (std::size_t other = 0; other < progress_.groups.size(); ++other) {
      if (static_cast<int>(other) != group && !progress_.groups[other].lost && !progress_.groups[other].gone) return true;
    }
    return false;
  }

  bool all_joined() const {
    for (const Progress::Group& group : progress_.groups) {
      if (!group.joined) return false;
    }
    return true;
  }

  void fill_progress(double now) {
    progress_.state = stopping_                    ? Progress::State::draining
                      : queue_.live_groups() == 0 ? Progress::State::waiting_for_groups
                                                  : Progress::State::running;
    progress_.seconds = now - started_seconds_;
    progress_.calls_done = queue_.calls_done();
    progress_.calls_total = queue_.calls_total();
    progress_.calls_leased = queue_.calls_leased();
    progress_.cost_done = queue_.cost_done();
    progress_.cost_total = queue_.cost_total();
    progress_.output_tokens = 0;
    for (const Progress::Group& group : progress_.groups) progress_.output_tokens += group.counters.now.engine.output_tokens;
  }

  void tell_progress(double now) {
    if (!settings_.progress || now - told_seconds_ < settings_.progress_seconds) return;
    told_seconds_ = now;
    fill_progress(now);
    settings_.progress(progress_);
  }

  comm::Link& link_;
  const std::function<WorkItem(std::uint64_t)>& make_item_;
  results::Journal& journal_;
  CoordinatorSettings settings_;
  WorkQueue queue_;
  std::unordered_map<base::Hash128, Place> places_;  ///< calls that are with a group or may still come back
  Progress progress_;
  std::map<int, std::uint32_t> parked_;  ///< groups that are left out, with their slots
  int lost_groups_ = 0;
  int signals_ = 0;
  bool stopping_ = false;
  bool shut_down_ = false;
  double started_seconds_ = 0;
  double drained_by_seconds_ = 0;
  double told_seconds_ = -1e300;
};

}  // namespace

RunOutcome coordinate(comm::Link& link, int groups, const std::vector<PlannedItem>& plan,
                      const std::function<WorkItem(std::uint64_t)>& make_item, results::Journal& journal,
                      const CoordinatorSettings& settings) {
  Coordinator coordinator(link, groups, plan, make_item, journal, settings);
  try {
    const Ending ending = coordinator.run();
    journal.sync();
    if (!settings.stay || ending != Ending::complete) {
      coordinator.take_leave();
      journal.sync();
    }
    return coordinator.outcome(ending);
  } catch (...) {
    coordinator.shut_down();
    throw;
  }
}

}  // namespace assize::cluster
