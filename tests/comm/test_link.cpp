#include <thread>

#include "base/error.h"
#include "comm/layout.h"
#include "comm/link.h"
#include "support/catch.h"

using namespace assize;

namespace {
std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}
}  // namespace

TEST_CASE("messages of a pair arrive in order, with the sender's group") {
  auto [coordinator, leaders] = comm::make_in_process_star(3);
  CHECK_FALSE(coordinator->poll());
  leaders[2]->send(0, bytes_of("a"));
  leaders[0]->send(0, bytes_of("b"));
  leaders[2]->send(0, bytes_of("c"));
  std::vector<std::pair<int, std::size_t>> seen;
  std::string from_two;
  while (auto message = coordinator->poll()) {
    if (message->peer == 2) from_two += static_cast<char>(message->bytes[0]);
    seen.emplace_back(message->peer, message->bytes.size());
  }
  CHECK(seen.size() == 3);
  CHECK(from_two == "ac");

  coordinator->send(1, bytes_of("x"));
  CHECK_FALSE(leaders[0]->poll());
  const auto message = leaders[1]->poll();
  REQUIRE(message);
  CHECK(message->peer == 0);
  CHECK(message->bytes == bytes_of("x"));
  CHECK_THROWS_AS(coordinator->send(3, {}), base::Error);
}

TEST_CASE("the star works between threads") {
  auto [coordinator, leaders] = comm::make_in_process_star(2);
  std::vector<std::thread> threads;
  for (auto& leader : leaders) {
    threads.emplace_back([&leader = *leader] {
      for (int i = 0; i < 500; ++i) {
        comm::Backoff backoff;
        std::optional<comm::Message> message;
        while (!(message = leader.poll())) backoff.idle();
        leader.send(0, std::move(message->bytes));
      }
    });
  }
  for (int i = 0; i < 500; ++i) {
    for (int group : {0, 1}) coordinator->send(group, {static_cast<std::byte>(i % 251), static_cast<std::byte>(group)});
  }
  std::vector<int> next(2);
  comm::Backoff backoff;
  while (next[0] < 500 || next[1] < 500) {
    const auto message = coordinator->poll();
    if (!message) {
      backoff.idle();
      continue;
    }
    const auto group = static_cast<std::size_t>(message->peer);
    REQUIRE(message->bytes[1] == static_cast<std::byte>(group));
    REQUIRE(message->bytes[0] == static_cast<std::byte>(next[group] % 251));
    ++next[group];
  }
  for (auto& thread : threads) thread.join();
}

TEST_CASE("groups are consecutive ranks of one node, and left-over ranks are named") {
  // Node 0: ranks 0 (coordinator), 1, 2, 3; node 4: ranks 4, 5, 6.
  const std::vector<int> nodes{0, 0, 0, 0, 4, 4, 4};
  const comm::Layout two = comm::form_groups(nodes, 2);
  CHECK(two.groups == std::vector<std::vector<int>>{{1, 2}, {4, 5}});
  CHECK(two.unused == std::vector<int>{3, 6});
  CHECK(comm::describe(two, {"a", "a", "a", "a", "b", "b", "b"}, 2) ==
        "2 groups of 2 (a: ranks 1,2; b: ranks 4,5); left over, idle: rank 3 6");

  const comm::Layout one = comm::form_groups(nodes, 1);
  CHECK(one.groups.size() == 6);
  CHECK(one.unused.empty());

  CHECK(comm::form_groups(nodes, 4).groups.empty());
  // Ranks dealt out round-robin over two nodes.
  CHECK(comm::form_groups({0, 1, 0, 1, 0, 1, 0, 1}, 2).groups == std::vector<std::vector<int>>{{2, 4}, {1, 3}, {5, 7}});
  CHECK(comm::form_groups({0, 1, 0, 1, 0, 1, 0, 1}, 2).unused == std::vector<int>{6});
}

TEST_CASE("a worker's GPU is its index among the workers of its node, which the coordinator does not count in") {
  // One rank more on the first node of 64 with 8 workers each.
  std::vector<int> nodes{0};
  for (int node = 0; node < 64; ++node) nodes.insert(nodes.end(), 8, node);
  CHECK(comm::form_groups(nodes, 1).groups.size() == 512);
  for (int rank = 1; rank <= 512; ++rank) {
    const comm::NodePlace place = comm::place_on_node(nodes, rank);
    REQUIRE(place.workers == 8);
    REQUIRE(place.index == (rank - 1) % 8);
  }
  CHECK(comm::place_on_node(nodes, 0).workers == 8);
  // A node of its own for the coordinator.
  CHECK(comm::place_on_node({0, 1, 1}, 0).workers == 0);
  CHECK(comm::place_on_node({0, 1, 1}, 2).index == 1);
}
