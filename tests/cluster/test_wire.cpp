#include "cluster/wire.h"

#include <random>

#include "support/catch.h"
#include "tests/cluster/made_up_run.h"
#include "tests/results/judgements.h"

using namespace assize;
using namespace assize::cluster;

namespace {

/// Counters whose every number is another.
GroupCounters some_counters() {
  StepMeter meter(4);
  engine::EngineCounters engine;
  engine.steps = 1;
  engine.calls_in_step = 3;
  engine.output_tokens = 17;
  engine.kv_blocks_high_water = 5;
  meter.items_came(10);
  meter.step(10.5, 11, engine, 1);
  GroupCounters counters = meter.counters();
  counters.unfinished_calls = 6;
  counters.peak_memory_bytes = 7;
  return counters;
}

std::vector<Message> one_of_each() {
  return {Hello{17, "host a", {1e11, 2e10, 2, 0.25, 0.5, 3e14, 4e12}}, Finished{support::judgement_number(11)}, Alive{some_counters()},
          Fatal{"no such model", base::ErrorKind::usage}, Bye{}, Lease{support::item_number(3)}, Shutdown{},
          Welcome{"/runs/a", "model: 1\n", 7, 2}, Restart{}, Drop{{3, 4}}};
}

}  // namespace

TEST_CASE("every message survives the wire") {
  for (const Message& message : one_of_each()) {
    const auto bytes = encode(message);
    const Message back = decode(bytes);
    CHECK(back.index() == message.index());
    CHECK(encode(back) == bytes);
  }
  const auto alive = std::get<Alive>(decode(encode(Message{Alive{some_counters()}})));
  CHECK(alive.counters.tail.seconds == 1);
  CHECK(alive.counters.now.engine.output_tokens == 17);
  CHECK(alive.counters.now.engine.kv_blocks_high_water == 5);
  CHECK(alive.counters.now.step_bins == some_counters().now.step_bins);
  CHECK(alive.counters.peak_memory_bytes == 7);
  const auto hello = std::get<Hello>(decode(encode(one_of_each().front())));
  CHECK(hello.ceiling.flop_per_second == 1e11);
  CHECK(hello.ceiling.bytes_per_second == 2e10);
  CHECK(hello.ceiling.threads == 2);
  CHECK(hello.ceiling.flop_spread == 0.25);
  CHECK(hello.ceiling.bytes_spread == 0.5);
  CHECK(hello.ceiling.sheet_flop_per_second == 3e14);
  CHECK(hello.ceiling.sheet_bytes_per_second == 4e12);
  CHECK(std::get<Drop>(decode(encode(Message{Drop{{3, 4}}}))).call == base::Hash128{3, 4});
  const auto lease = std::get<Lease>(decode(encode(Message{Lease{support::item_number(3)}})));
  const WorkItem item = support::item_number(3);
  REQUIRE(lease.item.prompts.size() == item.prompts.size());
  CHECK(lease.item.prompts[1].text == item.prompts[1].text);
  CHECK(lease.item.prompts[1].images == item.prompts[1].images);
  CHECK(lease.item.prompts[1].asked == item.prompts[1].asked);
  CHECK(lease.item.prompts[1].image_width_px == item.prompts[1].image_width_px);
  CHECK(lease.item.prompts[1].image_height_px == item.prompts[1].image_height_px);
  REQUIRE(lease.item.calls.size() == item.calls.size());
  CHECK(lease.item.calls[3].key == item.calls[3].key);
  CHECK(lease.item.calls[3].prompt == item.calls[3].prompt);
  CHECK(lease.item.calls[3].noise_stream == item.calls[3].noise_stream);
  CHECK(lease.item.cost == item.cost);
  CHECK(lease.item.calls[2].output_tokens == item.calls[2].output_tokens);
}

TEST_CASE("a step order survives the wire, and no news is no bytes") {
  CHECK(encode(StepOrder{}).empty());
  CHECK(decode_step_order({}).next == StepOrder::Next::step);
  StepOrder order;
  order.items = {support::item_number(1), support::item_number(2)};
  order.drops = {{1, 2}, {3, 4}};
  const StepOrder back = decode_step_order(encode(order));
  CHECK(back.next == StepOrder::Next::step);
  REQUIRE(back.items.size() == 2);
  CHECK(back.items[1].calls.back().key == order.items[1].calls.back().key);
  CHECK(back.drops == order.drops);
  order = {StepOrder::Next::step, {}, {{5, 6}}};
  CHECK(decode_step_order(encode(order)).drops == order.drops);
  order = {StepOrder::Next::leave, {}, {}};
  CHECK(decode_step_order(encode(order)).next == StepOrder::Next::leave);
}

TEST_CASE("cut, lengthened and random messages are refused without harm") {
  for (const Message& message : one_of_each()) {
    auto bytes = encode(message);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) CHECK_THROWS_AS(decode(std::span(bytes).first(cut)), base::Error);
    bytes.push_back(std::byte{1});
    CHECK_THROWS_AS(decode(bytes), base::Error);
  }
  std::mt19937 random(1);
  std::size_t refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bytes(random() % 60);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    if (!bytes.empty() && round % 2) bytes[0] = static_cast<std::byte>(1 + round / 2 % 7);
    try {
      decode(bytes);
    } catch (const base::Error&) {
      ++refused;
    }
  }
  CHECK(refused > 15000);
  auto bytes = encode(Message{Lease{support::item_number(3)}});
  for (int round = 0; round < 20000; ++round) {
    auto changed = bytes;
    changed[random() % changed.size()] = static_cast<std::byte>(random());
    try {
      const auto lease = std::get<Lease>(decode(changed));
      for (const WorkCall& call : lease.item.calls) REQUIRE(call.prompt < lease.item.prompts.size());
    } catch (const base::Error&) {
    } catch (const std::bad_variant_access&) {
    }
  }
}
