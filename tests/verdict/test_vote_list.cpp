#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.h"
#include "verdict/vote_list.h"

namespace assize::verdict {
namespace {

void check_equal(const Vote& a, const Vote& b) {
  CHECK(a.presentation == b.presentation);
  CHECK(a.vote == b.vote);
  CHECK(a.verdict.status == b.verdict.status);
  CHECK(a.verdict.reason == b.verdict.reason);
  CHECK(a.verdict.choice == b.verdict.choice);
  CHECK(a.verdict.value == b.verdict.value);
  CHECK(std::signbit(a.verdict.value) == std::signbit(b.verdict.value));
  CHECK(a.verdict.scores == b.verdict.scores);
}

}  // namespace

TEST_CASE("votes come back from a list as they were put in") {
  std::vector<std::uint16_t> long_order;
  for (int i = 300; i-- > 0;) long_order.push_back(static_cast<std::uint16_t>(i));
  const double tiny = std::numeric_limits<double>::denorm_min();
  const std::vector<Vote> votes = {
      {{0, 1}, 0, {VerdictStatus::ok, "", {7.25, 1 / 3.0}, "A", 7.25 - 1 / 3.0}},
      {{}, 0, {VerdictStatus::failed, "", {}, "", -0.0}},
      {{1, 0}, 4'000'000'000u, {VerdictStatus::unreadable, std::string(400, 'x') + '\0' + "\xE2\x82\xAC", {}, "", 0}},
      {long_order, 127, {VerdictStatus::truncated, "ended", {1e300, -tiny, 128}, "A=B=Good", -1e-300}},
      {{65535, 128, 127}, 128, {VerdictStatus::ok, "", {}, "CAB", 0}},
  };
  const VoteList list(votes);
  VoteList one_by_one;
  for (const Vote& vote : votes) one_by_one.add(vote);
  for (const VoteList& kept : {list, one_by_one}) {
    CHECK(kept.size() == votes.size());
    CHECK_FALSE(kept.empty());
    const auto back = kept.unpacked();
    REQUIRE(back.size() == votes.size());
    for (std::size_t i = 0; i < votes.size(); ++i) check_equal(back[i], votes[i]);
  }
  CHECK(VoteList().empty());
  CHECK(VoteList().unpacked().empty());
}

}  // namespace assize::verdict
