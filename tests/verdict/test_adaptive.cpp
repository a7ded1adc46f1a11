#include "verdict/adaptive.h"

#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "support/catch.h"

namespace assize::verdict {
namespace {

std::vector<Vote> votes_of(const std::string& word) {
  std::vector<Vote> votes;
  for (std::size_t i = 0; i < word.size(); ++i) {
    Vote vote{{0, 1}, static_cast<std::uint32_t>(i), {}};
    vote.verdict.status = word[i] == '?' ? VerdictStatus::unreadable : VerdictStatus::ok;
    vote.verdict.choice = word[i] == 'A' ? "A" : word[i] == 'B' ? "B" : word[i] == 't' ? "tie" : "";
    vote.verdict.value = word[i] == 'A' ? 1 : word[i] == 'B' ? -1 : 0;
    votes.push_back(vote);
  }
  return votes;
}

VotesWanted wanted(const std::string& word, int total, const CombineRule& rule = {}) {
  return votes_wanted(votes_of(word), Protocol::pair, rule, total, 1);
}

}  // namespace

TEST_CASE("adaptive voting asks for what could decide, then for one more at a time") {
  CHECK(wanted("", 5).votes == 3);
  CHECK_FALSE(wanted("", 5).decided);
  CHECK(wanted("AA", 5).votes == 3);
  CHECK(wanted("AAA", 5).decided);
  CHECK(wanted("AAB", 5).votes == 4);
  CHECK_FALSE(wanted("AAB", 5).decided);
  CHECK(wanted("AABA", 5).decided);
  CHECK(wanted("AABB", 5).votes == 5);
  CHECK(wanted("AABBt", 5).decided);
  CHECK(wanted("A", 1).decided);
}

TEST_CASE("adaptive voting: votes behind the deciding prefix change nothing") {
  CHECK(wanted("AAABB", 5).votes == 3);
  CHECK(wanted("AAABB", 5).decided);
  CHECK(wanted("ABAAB", 5).votes == 4);
}

TEST_CASE("adaptive voting: unreadable votes count as the policy says") {
  CHECK(wanted("AA?", 5).votes == 4);
  CHECK_FALSE(wanted("AA?", 5).decided);
  const CombineRule wrong{UnreadablePolicy::wrong};
  CHECK(wanted("???", 5, wrong).decided);
}

TEST_CASE("adaptive voting: the prefix has the choice of all votes, and no shorter one decides") {
  std::mt19937 random(7);
  for (const VoteRule rule_of_votes : {VoteRule::majority, VoteRule::sign}) {
    CombineRule rule;
    rule.votes = rule_of_votes;
    for (int trial = 0; trial < 2000; ++trial) {
      const int total = 1 + static_cast<int>(random() % 9);
      std::string word;
      for (int i = 0; i < total; ++i) word += "AAABBt?"[random() % 7];
      const VotesWanted found = wanted(word, total, rule);
      REQUIRE(found.decided);
      const std::string all = combine(votes_of(word), Protocol::pair, rule).choice;
      const auto prefix = static_cast<std::size_t>(found.votes);
      REQUIRE(combine(votes_of(word.substr(0, prefix)), Protocol::pair, rule).choice == all);
      if (prefix < 2) continue;
      // Some other answers to the votes behind a shorter prefix give another choice.
      const std::string shorter = word.substr(0, prefix - 1);
      if (combine(votes_of(shorter), Protocol::pair, rule).choice == "tie") continue;  // equal votes are a tie as well
      bool other = false;
      for (const char rest : {'A', 'B', 't'}) {
        const std::string filled = shorter + std::string(word.size() - shorter.size(), rest);
        other = other || combine(votes_of(filled), Protocol::pair, rule).choice != combine(votes_of(shorter), Protocol::pair, rule).choice;
      }
      REQUIRE(other);
    }
  }
}

TEST_CASE("adaptive voting: both orders of a vote are asked together") {
  std::vector<Vote> votes = votes_of("A");
  CHECK_FALSE(votes_wanted(votes, Protocol::pair, {}, 3, 2).decided);
  Vote reversed = votes[0];
  reversed.presentation = {1, 0};
  votes.push_back(reversed);
  Vote second = votes[0];
  second.vote = 1;
  votes.push_back(second);
  CHECK(votes_wanted(votes, Protocol::pair, {}, 3, 2).votes == 2);
  second.presentation = {1, 0};
  votes.push_back(second);
  CHECK(votes_wanted(votes, Protocol::pair, {}, 3, 2).decided);
}

TEST_CASE("adaptive voting has no meaning for means") {
  CHECK_THROWS_AS(votes_wanted({}, Protocol::score, {}, 3, 1), base::Error);
  CombineRule mean;
  mean.votes = VoteRule::mean;
  CHECK_THROWS_AS(votes_wanted({}, Protocol::pair, mean, 3, 1), base::Error);
}

}  // namespace assize::verdict
