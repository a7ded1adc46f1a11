#include <set>
#include <stdexcept>

#include "engine/kv_blocks.h"
#include "support/catch.h"

using assize::engine::KvBlocks;

TEST_CASE("blocks are taken once and come back with their last owner") {
  KvBlocks blocks(3);
  std::set<std::int32_t> taken;
  for (int i = 0; i < 3; ++i) taken.insert(blocks.take());
  REQUIRE(taken == std::set<std::int32_t>{0, 1, 2});
  REQUIRE(blocks.take() == -1);
  blocks.add_reference(1);
  blocks.release(1);
  REQUIRE(blocks.free() == 0);
  blocks.release(1);
  REQUIRE(blocks.free() == 1);
  REQUIRE(blocks.take() == 1);
  REQUIRE(blocks.high_water() == 3);
}

TEST_CASE("a block without owners can be neither released nor shared") {
  KvBlocks blocks(2);
  REQUIRE_THROWS_AS(blocks.release(0), std::logic_error);
  REQUIRE_THROWS_AS(blocks.add_reference(1), std::logic_error);
  REQUIRE_THROWS_AS(blocks.release(2), std::out_of_range);
}
