#include "cluster/work_queue.h"

#include <map>
#include <random>
#include <set>

#include "support/catch.h"

using namespace assize::cluster;

namespace {

using Call = std::pair<std::uint64_t, std::uint32_t>;

std::vector<PlannedItem> items_of(std::initializer_list<std::pair<float, std::uint32_t>> list) {
  std::vector<PlannedItem> items;
  for (const auto& [cost, calls] : list) items.push_back({cost, calls});
  return items;
}

}  // namespace

TEST_CASE("items are leased costliest first, until the groups are full") {
  WorkQueue queue(items_of({{1, 2}, {9, 2}, {5, 2}, {9, 2}, {2, 0}}), {});
  CHECK(queue.calls_total() == 8);
  CHECK(queue.advance(0).leases.empty());  // nobody there yet
  queue.group_joined(0, 4, 0);             // room for 4 + 1 calls
  auto effects = queue.advance(0);
  REQUIRE(effects.leases.size() == 3);
  CHECK(effects.leases[0].item == 1);
  CHECK(effects.leases[1].item == 3);
  CHECK(effects.leases[2].item == 2);
  CHECK(effects.leases[0].calls == std::vector<std::uint32_t>{0, 1});
  CHECK(queue.advance(0).leases.empty());

  CHECK(queue.call_finished(0, 1, 0));
  CHECK_FALSE(queue.call_finished(0, 1, 0));
  CHECK_FALSE(queue.call_finished(0, 0, 0));  // never leased
  CHECK(queue.advance(0).leases.empty());
  CHECK(queue.call_finished(0, 1, 1));
  effects = queue.advance(0);
  REQUIRE(effects.leases.size() == 1);
  CHECK(effects.leases[0].item == 0);
  for (std::uint32_t call : {0u, 1u}) {
    for (std::uint64_t item : {0u, 2u, 3u}) CHECK(queue.call_finished(0, item, call));
  }
  CHECK(queue.done());
  CHECK(queue.idle());
  CHECK(queue.cost_done() == Approx(24));
  CHECK(queue.cost_total() == Approx(24));
}

TEST_CASE("work is spread over the groups by their room") {
  std::vector<PlannedItem> items(100, {1, 1});
  WorkQueue queue(items, {});
  queue.group_joined(0, 8, 0);
  queue.group_joined(1, 4, 0);
  std::map<int, int> calls;
  for (const auto& lease : queue.advance(0).leases) calls[lease.group] += 1;
  CHECK(calls[0] == 10);
  CHECK(calls[1] == 5);
}

TEST_CASE("a silent group is taken out, its calls go back, late judgements still count") {
  QueueSettings settings;
  settings.lease_seconds = 10;
  settings.quiet_factor = 0;
  WorkQueue queue(items_of({{3, 2}, {2, 2}}), settings);
  queue.group_joined(0, 2, 0);
  queue.group_joined(1, 2, 0);
  CHECK(queue.advance(0).leases.size() == 2);
  queue.group_alive(1, 9);
  CHECK(queue.advance(10).silent_groups.empty());
  const auto effects = queue.advance(10.5);
  CHECK(effects.silent_groups == std::vector<int>{0});
  CHECK(queue.live_groups() == 1);
  CHECK(effects.leases.empty());          // item 0 is a suspect and waits for an empty group
  CHECK(queue.call_finished(0, 0, 1));    // from the group that was taken out
  CHECK_FALSE(queue.call_finished(0, 0, 1));
  CHECK(queue.call_finished(1, 1, 0));
  CHECK(queue.call_finished(1, 1, 1));
  const auto after = queue.advance(11);
  REQUIRE(after.leases.size() == 1);
  CHECK(after.leases[0].group == 1);
  CHECK(after.leases[0].item == 0);
  CHECK(after.leases[0].calls == std::vector<std::uint32_t>{0});
  const auto taken = queue.call_finished(0, 0, 0);  // late again: group 1 works on it in vain
  CHECK(taken.counts);
  CHECK(taken.others == std::vector<int>{1});
  CHECK(queue.done());
  CHECK(queue.idle());
}

TEST_CASE("a group without work may be silent for ever") {
  QueueSettings settings;
  settings.lease_seconds = 10;
  WorkQueue queue(items_of({{1, 1}}), settings);
  queue.group_joined(0, 1, 0);
  queue.advance(0);
  queue.call_finished(0, 0, 0);
  CHECK(queue.advance(1000).silent_groups.empty());
}

TEST_CASE("slow groups stretch the limit") {
  QueueSettings settings;
  settings.lease_seconds = 10;
  WorkQueue queue(items_of({{1, 1}, {1, 1}}), settings);
  queue.group_joined(0, 1, 0);
  queue.advance(0);
  queue.group_alive(0, 9);  // 9 s were fine: up to 72 s are now
  CHECK(queue.advance(80).silent_groups.empty());
  CHECK(queue.advance(82).silent_groups == std::vector<int>{0});
}

TEST_CASE("an item that ends two groups is poisoned, and the others with it are not") {
  WorkQueue queue(items_of({{5, 2}, {4, 1}, {3, 1}}), {});
  queue.group_joined(0, 8, 0);
  CHECK(queue.advance(0).leases.size() == 3);
  queue.group_lost(0);
  queue.group_joined(1, 8, 0);
  auto effects = queue.advance(0);
  REQUIRE(effects.leases.size() == 1);  // suspects one at a time
  CHECK(effects.leases[0].item == 0);
  queue.group_lost(1);
  effects = queue.advance(0);
  REQUIRE(effects.poisoned.size() == 1);
  CHECK(effects.poisoned[0].item == 0);
  CHECK(effects.poisoned[0].calls == std::vector<std::uint32_t>{0, 1});
  CHECK(queue.calls_done() == 2);
  queue.group_joined(2, 8, 0);
  for (std::uint64_t item : {1u, 2u}) {
    effects = queue.advance(0);
    REQUIRE(effects.leases.size() == 1);
    CHECK(effects.leases[0].item == item);
    CHECK(queue.call_finished(2, item, 0));
  }
  CHECK(queue.done());
}

TEST_CASE("after stop_leasing nothing is leased, running calls may end") {
  WorkQueue queue(items_of({{5, 1}, {4, 1}, {3, 1}, {2, 1}}), {});
  queue.group_joined(0, 1, 0);
  CHECK(queue.advance(0).leases.size() == 2);
  queue.stop_leasing();
  CHECK(queue.call_finished(0, 0, 0));
  CHECK(queue.advance(0).leases.empty());
  CHECK_FALSE(queue.idle());
  CHECK(queue.call_finished(0, 1, 0));
  CHECK(queue.idle());
  CHECK_FALSE(queue.done());
}

// A random world: groups join, work, die, fall silent and bring late judgements. Whatever happens, each call
// ends exactly once, a call is with two live groups only by a second lease, and with a group left everything ends.
TEST_CASE("every call ends exactly once under random schedules") {
  std::uint64_t second_leases = 0;
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    std::vector<PlannedItem> items;
    std::set<Call> wanted;
    for (unsigned i = 0; i < 1 + below(40); ++i) {
      items.push_back({static_cast<float>(1 + below(9)), below(5)});
      if (seed % 2 == 0) items.back().output_tokens = items.back().cost;  // speeds are learnt
      for (std::uint32_t call = 0; call < items.back().calls; ++call) wanted.insert({i, call});
    }
    std::set<std::uint64_t> poison;  // items that end any group holding them
    if (seed % 3 == 0) poison.insert(below(static_cast<unsigned>(items.size())));

    QueueSettings settings;
    settings.lease_seconds = 10;
    settings.quiet_factor = 0;
    WorkQueue queue(items, settings);
    std::map<int, std::set<Call>> held;  // live groups
    std::set<Call> late;                 // with groups that were taken out
    std::set<Call> ended;
    std::set<Call> failed;
    std::map<std::uint64_t, int> deaths;
    std::uint64_t twice = 0;  // calls that a second group got
    const auto end = [&](int group, const Call& call) {
      const auto taken = queue.call_finished(group, call.first, call.second, 1 + below(20));
      if (!taken) return false;
      REQUIRE(ended.insert(call).second);
      std::vector<int> others;
      for (auto& [id, calls] : held) {
        if (calls.erase(call) > 0 && id != group) others.push_back(id);
      }
      std::vector<int> told = taken.others;
      std::sort(told.begin(), told.end());
      REQUIRE(told == others);
      return true;
    };
    int next_group = 0;
    double now = 0;
    const auto lose = [&](int group) {
      std::set<std::uint64_t> with_it;
      for (const Call& call : held.at(group)) {
        late.insert(call);
        with_it.insert(call.first);
      }
      for (std::uint64_t item : with_it) ++deaths[item];
      held.erase(group);
    };

    for (int step = 0; step < 4000 && !queue.done(); ++step) {
      now += 0.01;
      const bool chaos = step < 400;
      if (held.empty() || (chaos && held.size() < 4 && below(20) == 0)) {
        held[next_group];
        queue.group_joined(next_group++, 1 + below(6), now);
      }
      const unsigned dice = below(100);
      auto group = held.begin();
      std::advance(group, below(static_cast<unsigned>(held.size())));
      if (chaos && dice < 3) {
        const int lost = group->first;
        lose(lost);
        queue.group_lost(lost);
      } else if (chaos && dice < 6 && !late.empty()) {
        auto call = late.begin();
        std::advance(call, below(static_cast<unsigned>(late.size())));
        const bool news = !ended.contains(*call) && !failed.contains(*call);
        REQUIRE(end(-1, *call) == news);
      } else if (!group->second.empty()) {
        const Call call = *group->second.begin();
        if (poison.contains(call.first)) {
          const int lost = group->first;
          lose(lost);
          queue.group_lost(lost);
        } else {
          REQUIRE(end(group->first, call));
          REQUIRE_FALSE(end(group->first, call));
        }
      }
      for (const auto& [id, calls] : held) {
        if (!(chaos && below(50) == 0)) queue.group_alive(id, now);
      }
      if (chaos && below(200) == 0) now += 11;  // long enough for groups to be taken out
      const QueueEffects effects = queue.advance(now);
      for (int silent : effects.silent_groups) lose(silent);
      for (const auto& poisoned : effects.poisoned) {
        REQUIRE(deaths[poisoned.item] >= 2);
        for (std::uint32_t call : poisoned.calls) REQUIRE(failed.insert({poisoned.item, call}).second);
      }
      for (const auto& lease : effects.leases) {
        REQUIRE(held.contains(lease.group));
        for (std::uint32_t call : lease.calls) {
          const Call leased{lease.item, call};
          REQUIRE(wanted.contains(leased));
          REQUIRE_FALSE(ended.contains(leased));
          REQUIRE_FALSE(failed.contains(leased));
          const auto has_it = [&](const auto& entry) { return entry.second.contains(leased); };
          const auto holders = std::count_if(held.begin(), held.end(), has_it);
          REQUIRE(holders <= 1);
          twice += holders == 1;
          REQUIRE(held[lease.group].insert(leased).second);
        }
      }
      REQUIRE(twice == queue.second_leases());
      REQUIRE(queue.calls_done() == ended.size() + failed.size());
    }
    REQUIRE(queue.done());
    REQUIRE(ended.size() + failed.size() == wanted.size());
    for (std::uint64_t item : poison) {
      for (std::uint32_t call = 0; call < items[item].calls; ++call) REQUIRE(ended.count({item, call}) + failed.count({item, call}) == 1);
    }
    second_leases += twice;
  }
  CHECK(second_leases > 100);
}
