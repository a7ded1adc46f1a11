#include <algorithm>
#include <random>

#include "engine/attention_order.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::engine;

namespace {

std::int64_t saving(const std::vector<AttentionWork>& works, std::size_t begin, std::size_t end) {
  std::int32_t common = 1 << 30;
  for (std::size_t i = begin + 1; i < end; ++i) {
    common = std::min(common, PrefixGrouper::shared_tokens(works[i - 1], works[i]));
  }
  return end - begin < 2 ? 0 : std::int64_t(end - begin - 1) * common;
}

/// The best saving over all ways to cut works[from ...) into runs.
std::int64_t best_saving(const std::vector<AttentionWork>& works, std::size_t from) {
  std::int64_t best = 0;
  for (std::size_t end = from + 1; end <= works.size(); ++end) {
    best = std::max(best, saving(works, from, end) + best_saving(works, end));
  }
  return best;
}

}  // namespace

TEST_CASE("shared tokens are whole blocks of context on both sides") {
  const std::vector<std::int32_t> a{1, 2, 3}, b{1, 2, 4};
  REQUIRE(PrefixGrouper::shared_tokens({a, 190, 1}, {b, 190, 1}) == 128);
  REQUIRE(PrefixGrouper::shared_tokens({a, 127, 1}, {b, 190, 1}) == 64);
  REQUIRE(PrefixGrouper::shared_tokens({a, 63, 1}, {b, 190, 1}) == 0);
}

TEST_CASE("groups save the most reads") {
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::vector<std::int32_t>> tables(1 + random() % 9);
    for (auto& table : tables) {
      table.resize(1 + random() % 5);
      for (auto& block : table) block = random() % 2;
    }
    std::vector<AttentionWork> works;
    for (const auto& table : tables)
      works.push_back({table, std::int32_t(table.size() * 64 - random() % 64) - 1, 1});
    std::sort(works.begin(), works.end(), PrefixGrouper::before);
    PrefixGrouper grouper;
    std::vector<backend::SharedPrefix> shared;
    grouper.group(works, shared);
    std::int64_t saved = 0;
    std::int32_t behind = 0;
    for (const auto& group : shared) {
      REQUIRE(group.first_sequence >= behind);
      behind = group.first_sequence + group.sequence_count;
      const std::int64_t here = saving(works, group.first_sequence, behind);
      REQUIRE(here == std::int64_t(group.sequence_count - 1) * group.shared_tokens);
      saved += here;
    }
    REQUIRE(saved == best_saving(works, 0));
  }
}
