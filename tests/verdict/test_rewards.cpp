#include "verdict/rewards.h"

#include <algorithm>

#include "support/catch.h"

namespace assize::verdict {
namespace {

Vote scores(std::vector<std::uint16_t> shown, std::vector<double> values, std::uint32_t number = 0) {
  Vote vote{std::move(shown), number, {}};
  vote.verdict.status = VerdictStatus::ok;
  vote.verdict.scores = std::move(values);
  return vote;
}

Vote choice(std::vector<std::uint16_t> shown, const std::string& word, std::uint32_t number = 0) {
  Vote vote{std::move(shown), number, {}};
  vote.verdict.status = VerdictStatus::ok;
  vote.verdict.choice = word;
  return vote;
}

Vote unreadable(std::vector<std::uint16_t> shown) { return {std::move(shown), 0, no_verdict(VerdictStatus::unreadable, "no answer")}; }

}  // namespace

TEST_CASE("rewards: candidates judged alone get the mean of their readable scores, equal ones share a rank") {
  const std::vector<Vote> votes{scores({0}, {4}), scores({0}, {5}, 1), unreadable({1}), scores({2}, {4.5}), scores({3}, {2})};
  const Rewards out = reward_candidates(votes, 4);
  CHECK(out.rewards == std::vector<std::optional<double>>{4.5, {}, 4.5, 2});
  CHECK(out.ranks == std::vector<int>{1, 0, 1, 3});
  CHECK(out.best == 0);
  CHECK(out.votes == 4);
  CHECK(out.unreadable == 1);
}

TEST_CASE("rewards: without any readable vote there is neither reward nor best nor preference") {
  const std::vector<Vote> votes{unreadable({0, 1}), unreadable({1, 0})};
  const Rewards out = reward_candidates(votes, 2);
  CHECK_FALSE(out.rewards[0]);
  CHECK_FALSE(out.best);
  CHECK(preferences_of(out, votes, {}).pairs.empty());
}

TEST_CASE("rewards: scores of two out of three candidates go to those that were shown") {
  // Scores stand in ascending order of the candidates shown, whatever the presentation.
  const std::vector<Vote> votes{scores({0, 2}, {3, 9}), scores({2, 0}, {5, 7}), scores({2, 1}, {1, 8})};
  const Rewards out = reward_candidates(votes, 3);
  CHECK(out.rewards == std::vector<std::optional<double>>{4, 1, 8});
  CHECK(out.ranks == std::vector<int>{2, 3, 1});
}

TEST_CASE("rewards: choices give the share of comparisons won, ties half") {
  // 0 beats 1, ties with 2; 1 ties with 2 ("A" is the lower index of the two).
  const std::vector<Vote> pairs{choice({0, 1}, "A"), choice({2, 0}, "tie"), choice({1, 2}, "tie")};
  CHECK(reward_candidates(pairs, 3).rewards == std::vector<std::optional<double>>{0.75, 0.25, 0.5});
  const std::vector<Vote> labels{choice({0, 1}, "B>A"), choice({1, 0}, "A=B=Bad")};
  CHECK(reward_candidates(labels, 2).rewards == std::vector<std::optional<double>>{0.25, 0.75});
  const std::vector<Vote> ranks{choice({0, 1, 2}, "CAB")};
  CHECK(reward_candidates(ranks, 3).rewards == std::vector<std::optional<double>>{0.5, 0, 1});
}

TEST_CASE("rewards: a presentation is renumbered by the candidates that it shows") {
  CHECK(local_order(std::vector<std::uint16_t>{4, 2}) == std::vector<std::uint16_t>{1, 0});
  CHECK(local_order(std::vector<std::uint16_t>{7}) == std::vector<std::uint16_t>{0});
  CHECK(local_order(std::vector<std::uint16_t>{1, 0, 2}) == std::vector<std::uint16_t>{1, 0, 2});
}

TEST_CASE("preferences: best against worst, with margin, agreement and orders") {
  const std::vector<Vote> votes{scores({0, 1}, {9, 4}), scores({1, 0}, {6, 5}), scores({0, 1}, {8, 8}, 1), scores({1, 0}, {9, 3}, 1)};
  const Rewards rewards = reward_candidates(votes, 2);
  const Preferences made = preferences_of(rewards, votes, {});
  REQUIRE(made.pairs.size() == 1);
  CHECK(made.pairs[0].chosen == 0);
  CHECK(made.pairs[0].score_chosen == 8);
  CHECK(made.pairs[0].score_rejected == 5);
  CHECK(made.pairs[0].margin() == 3);
  CHECK(made.pairs[0].agreement == 0.75);
  // One tie and one win are a tie of the votes in the order as given; the other order is won.
  CHECK(made.pairs[0].orders == OrderAgreement::inconsistent);
  const Preferences strict = preferences_of(rewards, votes, {PairChoice::best_worst, 0, true});
  CHECK(strict.pairs.empty());
  CHECK(strict.orders_differ == 1);
  CHECK(preferences_of(rewards, votes, {PairChoice::best_worst, 3.5, false}).below_margin == 1);
}

TEST_CASE("preferences: a pair that loses in both orders of its own is not won in both, whatever the rewards say") {
  // 0 has the higher mean by its comparison with 2, but 1 wins the direct one in both orders.
  const std::vector<Vote> votes{scores({0, 1}, {4, 5}), scores({1, 0}, {4, 5}), scores({0, 2}, {10, 1}), scores({1, 2}, {1, 1})};
  const Rewards rewards = reward_candidates(votes, 3);
  const Preferences any = preferences_of(rewards, votes, {PairChoice::all, 0, false});
  REQUIRE(any.pairs.size() == 3);
  CHECK(any.pairs[0].rejected == 2);  // the widest margin first
  CHECK(any.pairs[0].orders == OrderAgreement::not_tried);
  const auto direct = std::find_if(any.pairs.begin(), any.pairs.end(), [](const Preference& p) { return p.rejected == 1; });
  REQUIRE(direct != any.pairs.end());
  CHECK(direct->agreement == 0);
  CHECK(direct->orders == OrderAgreement::consistent);
  const Preferences strict = preferences_of(rewards, votes, {PairChoice::all, 0, true});
  CHECK(strict.pairs.size() == 2);
  CHECK(strict.orders_differ == 1);
}

TEST_CASE("preferences: equal rewards never make a pair, and candidates judged alone have no orders") {
  const std::vector<Vote> votes{scores({0}, {3}), scores({1}, {3}), scores({2}, {1})};
  const Preferences made = preferences_of(reward_candidates(votes, 3), votes, {PairChoice::all, 0, true});
  CHECK(made.ties == 1);
  REQUIRE(made.pairs.size() == 2);
  CHECK_FALSE(made.pairs[0].agreement);
  CHECK(made.pairs[0].orders == OrderAgreement::not_tried);
}

}  // namespace assize::verdict
