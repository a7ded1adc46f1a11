#include <map>
#include <vector>

#include "cluster/work_queue.h"
#include "support/catch.h"

using namespace assize::cluster;

namespace {

QueueSettings settings_of(LeaseOrder order, int groups = 1) {
  QueueSettings settings;
  settings.order = order;
  settings.groups = groups;
  return settings;
}

/// Items in the order of their leases, when every call ends before the next lease.
std::vector<std::uint64_t> one_by_one(WorkQueue& queue) {
  std::vector<std::uint64_t> order;
  while (true) {
    const auto leases = queue.advance(0).leases;
    if (leases.empty()) return order;
    for (const auto& lease : leases) {
      order.push_back(lease.item);
      for (const std::uint32_t call : lease.calls) queue.call_finished(lease.group, lease.item, call);
    }
  }
}

}  // namespace

TEST_CASE("first in, first out leases in the order of the plan") {
  WorkQueue queue({{1, 1}, {5, 1}, {3, 1}}, settings_of(LeaseOrder::fifo));
  queue.group_joined(0, 1, 0);
  CHECK(one_by_one(queue) == std::vector<std::uint64_t>{0, 1, 2});
}

TEST_CASE("fixed shards stay with their groups, and go to others only when their group is lost") {
  WorkQueue queue(std::vector<PlannedItem>(9, {1, 1}), settings_of(LeaseOrder::fixed, 3));
  for (int group = 0; group < 3; ++group) queue.group_joined(group, 8, 0);
  std::map<int, std::vector<std::uint64_t>> items;
  for (const auto& lease : queue.advance(0).leases) items[lease.group].push_back(lease.item);
  CHECK(items[0] == std::vector<std::uint64_t>{0, 3, 6});
  CHECK(items[2] == std::vector<std::uint64_t>{2, 5, 8});

  WorkQueue short_of_one(std::vector<PlannedItem>(9, {1, 1}), settings_of(LeaseOrder::fixed, 3));
  short_of_one.group_joined(0, 8, 0);
  short_of_one.group_joined(1, 8, 0);
  std::size_t leases = short_of_one.advance(0).leases.size();
  CHECK(leases == 9);  // the third group is not there: its shard is anybody's
}

TEST_CASE("the order follows the outputs that suites have had") {
  // Suite 0 is estimated at 100 tokens a call and has 10, suite 1 at 50 and has 500.
  std::vector<PlannedItem> items;
  for (int i = 0; i < 40; ++i) items.push_back(i % 2 ? PlannedItem{60, 1, 50, 1} : PlannedItem{110, 1, 100, 0});
  WorkQueue queue(items, settings_of(LeaseOrder::longest_first));
  queue.group_joined(0, 16, 0);
  CHECK(queue.learned_cost(0) == 110);
  // 16 + 4 calls, all of suite 0, which is thought to be the costlier one.
  auto leases = queue.advance(0).leases;
  REQUIRE(leases.size() == 20);
  for (const auto& lease : leases) {
    CHECK(lease.item % 2 == 0);
    queue.call_finished(lease.group, lease.item, 0, 10);
  }
  // What is left of the estimate is its share as eight calls beside the twenty that were seen.
  CHECK(queue.learned_cost(0) == Approx(10 + 100 * (20 * 10 + 8 * 100) / 2800.0));
  CHECK(queue.learned_cost(1) == 60);

  std::vector<PlannedItem> mixed(60, {110, 1, 100, 0});
  for (int i = 0; i < 20; ++i) mixed.push_back({60, 1, 50, 1});
  WorkQueue both(mixed, settings_of(LeaseOrder::longest_first));
  both.group_joined(0, 16, 0);
  std::size_t done = 0;
  for (const auto& lease : both.advance(0).leases) done += both.call_finished(lease.group, lease.item, 0, 10).counts;
  REQUIRE(done == 20);
  // Now suite 0 is worth 10 + 36 tokens, less than the 60 of suite 1.
  for (const auto& lease : both.advance(0).leases) CHECK(lease.item >= 60);
}

TEST_CASE("near the end items are leased call by call, so that no group stands idle") {
  // One item of 8 calls whose outputs outweigh its prompt, two groups of 8 slots.
  WorkQueue queue({{810, 8, 100, 0}}, settings_of(LeaseOrder::longest_first, 2));
  queue.group_joined(0, 8, 0);
  queue.group_joined(1, 8, 0);
  std::map<int, std::uint32_t> calls;
  for (const auto& lease : queue.advance(0).leases) calls[lease.group] += static_cast<std::uint32_t>(lease.calls.size());
  CHECK(calls[0] == 4);
  CHECK(calls[1] == 4);
  // Both parts end on their own.
  for (std::uint32_t call = 0; call < 8; ++call) CHECK(queue.call_finished(0, 0, call, 100));
  CHECK(queue.done());
  CHECK(queue.idle());

  // Where the prompt outweighs the outputs, it is computed once.
  WorkQueue whole({{810, 8, 10, 0}}, settings_of(LeaseOrder::longest_first, 2));
  whole.group_joined(0, 8, 0);
  whole.group_joined(1, 8, 0);
  CHECK(whole.advance(0).leases.size() == 1);
}

TEST_CASE("only the last items, one a group, are leased call by call: the others' prompts are computed once") {
  // 40 calls for 64 slots.
  WorkQueue queue(std::vector<PlannedItem>(10, {410, 4, 100, 0}), settings_of(LeaseOrder::longest_first, 2));
  queue.group_joined(0, 32, 0);
  queue.group_joined(1, 32, 0);
  std::map<std::uint64_t, std::size_t> leases;
  std::map<int, std::size_t> calls;
  for (const auto& lease : queue.advance(0).leases) {
    ++leases[lease.item];
    calls[lease.group] += lease.calls.size();
  }
  for (std::uint64_t item = 0; item < 10; ++item) CHECK(leases[item] == (item < 8 ? 1 : 4));
  CHECK(calls[0] == 20);
  CHECK(calls[1] == 20);
}

TEST_CASE("a split item that ends two groups is poisoned as a whole") {
  WorkQueue queue({{820, 4, 200, 0}}, settings_of(LeaseOrder::longest_first, 2));
  queue.group_joined(0, 8, 0);
  queue.group_joined(1, 8, 0);
  CHECK(queue.advance(0).leases.size() == 4);
  queue.group_lost(0);
  queue.group_lost(1);
  const auto effects = queue.advance(1);
  REQUIRE(effects.poisoned.size() == 1);
  CHECK(effects.poisoned[0].calls.size() == 4);
  CHECK(queue.done());
  CHECK(queue.idle());
}

TEST_CASE("nothing is leased ahead when that would take work from idle groups") {
  // Ten calls for two groups of four slots: each gets a full load and at most one more.
  WorkQueue queue(std::vector<PlannedItem>(10, {1, 1}), settings_of(LeaseOrder::longest_first, 2));
  queue.group_joined(0, 4, 0);
  queue.group_joined(1, 4, 0);
  CHECK(queue.advance(0).leases.size() == 8);
  WorkQueue more(std::vector<PlannedItem>(100, {1, 1}), settings_of(LeaseOrder::longest_first, 2));
  more.group_joined(0, 4, 0);
  more.group_joined(1, 4, 0);
  CHECK(more.advance(0).leases.size() == 10);
}

TEST_CASE("a slow group gets no item that would outlast all that waits") {
  // Group 1 takes ten times as long as group 0 for the same.
  std::vector<PlannedItem> items;
  for (int i = 0; i < 8; ++i) items.push_back({1000.0f - static_cast<float>(i), 1, 1000.0f - static_cast<float>(i), 0});
  for (int i = 0; i < 40; ++i) items.push_back({10, 1, 10, 0});
  WorkQueue queue(items, settings_of(LeaseOrder::longest_first, 2));
  queue.group_joined(0, 1, 0);
  queue.group_joined(1, 1, 0);
  std::map<std::uint64_t, int> group_of;
  const auto take = [&](double now) {
    std::vector<std::uint64_t> slow;
    for (const auto& lease : queue.advance(now).leases) {
      group_of[lease.item] = lease.group;
      if (lease.group == 1) slow.push_back(lease.item);
    }
    return slow;
  };
  take(0);
  // Each group has two calls of about 1000 tokens; the fast one ends them after 100 s, the slow one after 1000 s.
  for (const double now : {100.0, 1000.0}) {
    const int group = now > 500;
    queue.group_alive(group, now);
    for (const auto& [item, holder] : std::map<std::uint64_t, int>(group_of)) {
      if (holder == group && item < 4) CHECK(queue.call_finished(group, item, 0, 1000));
    }
    if (now < 500) take(now);
  }
  // Four items of 1000 tokens are left or with the fast group: 10 000 s for the slow one, so it gets a short one.
  const auto slow = take(1000);
  REQUIRE_FALSE(slow.empty());
  for (const auto item : slow) CHECK(item >= 8);
}

TEST_CASE("a call of a slow group that would end last goes to a fast group too, and the first to end it counts") {
  // Group 0 has 10 tokens a second, group 1 has 1.
  std::vector<PlannedItem> items;
  for (int i = 0; i < 4; ++i) items.push_back({100.0f - static_cast<float>(i), 1, 100.0f - static_cast<float>(i), 0});
  WorkQueue queue(items, settings_of(LeaseOrder::longest_first, 2));
  queue.group_joined(0, 1, 0);
  queue.group_joined(1, 1, 0);
  REQUIRE(queue.advance(0).leases.size() == 2);
  queue.group_alive(0, 100);
  queue.group_alive(1, 100);
  CHECK(queue.call_finished(1, 1, 0, 100));
  CHECK(queue.call_finished(0, 0, 0, 1000));
  CHECK(queue.advance(100).leases.size() == 2);  // item 2 to group 0, item 3 to group 1
  queue.group_alive(0, 110);
  CHECK(queue.call_finished(0, 2, 0, 100));
  const auto again = queue.advance(110).leases;
  REQUIRE(again.size() == 1);
  CHECK(again[0].group == 0);
  CHECK(again[0].item == 3);
  CHECK(again[0].calls == std::vector<std::uint32_t>{0});
  CHECK(queue.calls_leased() == 1);
  CHECK(queue.second_leases() == 1);
  CHECK(queue.advance(111).leases.empty());  // no third

  SECTION("the second ends it") {
    const auto taken = queue.call_finished(0, 3, 0, 98);
    CHECK(taken.counts);
    CHECK(taken.others == std::vector<int>{1});
    CHECK_FALSE(queue.call_finished(1, 3, 0, 98));
  }
  SECTION("the first ends it") {
    CHECK(queue.call_finished(1, 3, 0, 98).others == std::vector<int>{0});
  }
  SECTION("one of the two is lost: the other goes on") {
    queue.group_lost(0);
    CHECK(queue.calls_leased() == 1);
    CHECK(queue.advance(122).leases.empty());
    const auto taken = queue.call_finished(1, 3, 0, 98);
    CHECK(taken.counts);
    CHECK(taken.others.empty());
  }
  SECTION("both are lost: the call goes back, and the item has ended two groups") {
    queue.group_lost(0);
    queue.group_lost(1);
    const auto effects = queue.advance(122);
    REQUIRE(effects.poisoned.size() == 1);
    CHECK(effects.poisoned[0].item == 3);
  }
  CHECK(queue.done());
  CHECK(queue.idle());
  CHECK(queue.calls_leased() == 0);
}
