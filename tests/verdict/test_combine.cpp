#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/catch.h"
#include "verdict/combine.h"

namespace assize::verdict {
namespace {

const std::vector<std::uint16_t> kForward = {0, 1}, kReverse = {1, 0};

Vote vote(std::uint32_t number, const std::vector<std::uint16_t>& presentation, const std::string& choice,
          std::vector<double> scores = {}) {
  Vote out{presentation, number, {}};
  if (choice == "?") {
    out.verdict = no_verdict(VerdictStatus::unreadable, "nothing there");
    return out;
  }
  out.verdict.status = VerdictStatus::ok;
  out.verdict.reason.clear();
  out.verdict.choice = choice;
  out.verdict.value = scores.size() == 2                 ? scores[0] - scores[1]
                      : scores.size() == 1               ? scores[0]
                      : choice == "A" || choice == "A>B" ? 1
                      : choice == "B" || choice == "B>A" ? -1
                                                         : 0;
  out.verdict.scores = std::move(scores);
  return out;
}

std::vector<Vote> votes(const std::vector<std::string>& choices) {
  std::vector<Vote> out;
  for (std::size_t i = 0; i < choices.size(); ++i)
    out.push_back(vote(static_cast<std::uint32_t>(i), kForward, choices[i]));
  return out;
}

std::string pair_choice_of(const std::vector<std::string>& choices, CombineRule rule = {}) {
  return combine(votes(choices), Protocol::pair, rule).choice;
}

}  // namespace

TEST_CASE("the majority of the votes is the verdict", "[combine]") {
  CHECK(pair_choice_of({"A", "B", "A"}) == "A");
  CHECK(pair_choice_of({"tie", "B", "tie"}) == "tie");
  CHECK(pair_choice_of({"A", "B"}) == "tie");
  CHECK(pair_choice_of({"A", "B", "tie"}) == "tie");
  CHECK(pair_choice_of({"B"}) == "B");
  CombineRule first;
  first.ties = VoteTies::first_seen;
  CHECK(pair_choice_of({"B", "A"}, first) == "B");
  CHECK(pair_choice_of({"tie", "A", "A", "tie"}, first) == "tie");
}

TEST_CASE("the sign rule lets one vote beat any number of ties", "[combine]") {
  CombineRule sign;
  sign.votes = VoteRule::sign;
  CHECK(pair_choice_of({"A", "tie", "tie"}, sign) == "A");
  CHECK(pair_choice_of({"A", "tie", "tie"}) == "tie");
  CHECK(pair_choice_of({"A", "B", "tie"}, sign) == "tie");
}

TEST_CASE("the mean rule decides by the mean scores", "[combine]") {
  CombineRule mean;
  mean.votes = VoteRule::mean;
  const std::vector<Vote> scored = {vote(0, kForward, "A", {7, 6}), vote(1, kForward, "A", {7, 6}),
                                    vote(2, kForward, "B", {2, 9})};
  const auto combined = combine(scored, Protocol::pair, mean);
  CHECK(combined.choice == "B");
  CHECK(combined.scores == std::vector<double>{16.0 / 3, 7});
  CHECK(combined.value == Approx(-5.0 / 3));
  CHECK(combine(scored, Protocol::pair, {}).choice == "A");
  CHECK_THROWS_AS(combine(votes({"A"}), Protocol::pair, mean), base::Error);
}

TEST_CASE("each policy for unreadable votes counts them", "[combine]") {
  CombineRule rule;
  auto combined = combine(votes({"?", "A", "?"}), Protocol::pair, rule);
  CHECK(combined.choice == "A");
  CHECK(combined.votes == 1);
  CHECK(combined.unreadable == 2);
  CHECK(combined.agreement == 1);

  rule.unreadable = UnreadablePolicy::wrong;
  combined = combine(votes({"?", "A", "?"}), Protocol::pair, rule);
  CHECK(combined.choice == "wrong");
  CHECK(combined.votes == 3);
  CHECK(combined.unreadable == 2);

  rule.unreadable = UnreadablePolicy::tie;
  CHECK(combine(votes({"?", "A", "?"}), Protocol::pair, rule).choice == "tie");
  CHECK(combine(votes({"?", "A>B", "?"}), Protocol::label, rule).choice == "A=B=Bad");

  rule.unreadable = UnreadablePolicy::constant;
  rule.constant = 3;
  CHECK(combine(std::vector<Vote>{vote(0, {0}, "?"), vote(1, {0}, "", {5})}, Protocol::score, rule).value ==
        4);

  combined = combine(votes({"?", "?"}), Protocol::pair, {});
  CHECK_FALSE(combined.ok());
  CHECK(combined.status == VerdictStatus::unreadable);
  CHECK(combined.unreadable == 2);
  CHECK_FALSE(combine(std::vector<Vote>{}, Protocol::pair, {}).ok());
}

TEST_CASE("a rule without meaning for the protocol is refused", "[combine]") {
  CombineRule rule;
  rule.unreadable = UnreadablePolicy::constant;
  CHECK_THROWS_AS(combine(votes({"A"}), Protocol::pair, rule), base::Error);
  rule.unreadable = UnreadablePolicy::tie;
  CHECK_THROWS_AS(combine(std::vector<Vote>{}, Protocol::score, rule), base::Error);
  CHECK_THROWS_AS(combine(std::vector<Vote>{}, Protocol::rank, rule), base::Error);
  rule = {};
  rule.votes = VoteRule::sign;
  CHECK_THROWS_AS(combine(std::vector<Vote>{}, Protocol::label, rule), base::Error);
  CHECK_THROWS_AS(policy_named("ignore"), base::Error);
  CHECK(policy_named("wrong") == UnreadablePolicy::wrong);
}

TEST_CASE("the verdict does not depend on the order of arrival", "[combine]") {
  std::vector<Vote> all = {vote(0, kForward, "A"), vote(0, kReverse, "B"), vote(1, kForward, "tie"),
                           vote(1, kReverse, "A"), vote(2, kForward, "B"), vote(2, kReverse, "?")};
  CombineRule first;
  first.ties = VoteTies::first_seen;
  const auto expected = combine(all, Protocol::pair, first);
  CHECK(expected.choice == "A");
  std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5};
  do {
    std::vector<Vote> shuffled;
    for (const auto index : order) shuffled.push_back(all[index]);
    const auto combined = combine(shuffled, Protocol::pair, first);
    REQUIRE(combined.choice == expected.choice);
    REQUIRE(combined.value == expected.value);
    REQUIRE(combined.orders == expected.orders);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("labels and rankings break ties as documented", "[combine]") {
  const auto label = [](const std::vector<std::string>& choices) {
    return combine(votes(choices), Protocol::label, {}).choice;
  };
  CHECK(label({"A>B", "A=B=Good"}) == "A>B");
  CHECK(label({"A>B", "B>A"}) == "A=B=Bad");
  CHECK(label({"A=B=Good", "A=B=Bad"}) == "A=B=Bad");
  CHECK(label({"A>B", "B>A", "A=B=Good"}) == "A=B=Good");

  const auto rank = [](const std::vector<std::string>& choices) {
    return combine(votes(choices), Protocol::rank, {}).choice;
  };
  CHECK(rank({"ABC", "ABC", "CBA"}) == "ABC");
  CHECK(rank({"ACB", "CAB", "BCA"}) == "CAB");  // mean places: A 1, B 4/3, C 2/3
}

TEST_CASE("both orders tell consistency and position bias", "[combine]") {
  const auto orders = [](const std::string& forward, const std::string& reverse) {
    return compare_orders(std::vector<Vote>{vote(0, kForward, forward), vote(0, kReverse, reverse)},
                          Protocol::pair, {});
  };
  CHECK(orders("A", "A") == OrderAgreement::consistent);
  CHECK(orders("tie", "tie") == OrderAgreement::consistent);
  CHECK(orders("A", "B") == OrderAgreement::prefers_first);
  CHECK(orders("B", "A") == OrderAgreement::prefers_second);
  CHECK(orders("A", "tie") == OrderAgreement::inconsistent);
  CHECK(orders("A", "?") == OrderAgreement::not_tried);
  CHECK(compare_orders(votes({"A", "A"}), Protocol::pair, {}) == OrderAgreement::not_tried);
}

}  // namespace assize::verdict
