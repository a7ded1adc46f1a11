#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verdict/verdict.h"

namespace assize::verdict {

/// What stands in for a vote that could not be read. Such votes are always counted and shown apart.
enum class UnreadablePolicy : std::uint8_t {
  exclude,   ///< it is left out; a sample without any readable vote has no verdict
  wrong,     ///< pair, label, rank: the choice "wrong", which equals no human label
  tie,       ///< pair: "tie"; label: "A=B=Bad"
  constant,  ///< score: `constant`
};

/// How the choices of several votes become one.
enum class VoteRule : std::uint8_t {
  majority,  ///< most votes
  sign,      ///< pair: the sign of the sum of +1, 0, -1 (MLLM-Judge scripts)
  mean,      ///< pair, rank: by the mean scores of the candidates; needs an answer form with numbers
};

/// What decides between choices with equally many votes.
enum class VoteTies : std::uint8_t {
  tie,  ///< pair: "tie". label: the sign of the mean, then both bad before both good. rank: mean places
  first_seen,  ///< the choice that was voted first, as Python's Counter.most_common
};

/// How votes and orders become one verdict.
struct CombineRule {
  UnreadablePolicy unreadable = UnreadablePolicy::exclude;
  double constant = 0;
  VoteRule votes = VoteRule::majority;
  VoteTies ties = VoteTies::tie;
};

/// +1 where `choice` (pair, label) says that the first candidate is better, -1 for the second, else 0.
int sign_of(std::string_view choice);

/// One call of a sample, read.
struct Vote {
  std::vector<std::uint16_t> presentation;
  std::uint32_t vote = 0;
  Verdict verdict;
};

/// Whether a judge says the same when two candidates change places.
enum class OrderAgreement : std::uint8_t {
  not_tried,       ///< not both orders, or one without a readable vote
  consistent,      ///< the same choice in both orders
  prefers_first,   ///< the candidate shown first wins in both orders
  prefers_second,  ///< the candidate shown second wins in both orders
  inconsistent,    ///< a tie in one order only
};

/// One verdict per sample.
struct Combined {
  VerdictStatus status = VerdictStatus::unreadable;  ///< ok, or that of the first vote when no vote counts
  std::string choice;                                ///< as Verdict::choice, or "wrong"
  double value = 0;                                  ///< mean of the counted votes' values
  std::vector<double> scores;                        ///< per candidate, mean over the votes that have scores
  double agreement = 0;  ///< pair, label, rank: share of the counted votes that say `choice`
  int votes = 0;         ///< votes that count
  int unreadable = 0;    ///< votes that were unreadable, truncated or failed, counted or not
  OrderAgreement orders = OrderAgreement::not_tried;

  bool ok() const { return status == VerdictStatus::ok; }
};

/// Combines the votes of one sample, which may come in any order: they are taken by (vote, presentation).
/// score: mean. pair, label, rank: by the rule, over all votes of all orders.
/// Throws base::Error when the rule has no meaning for the protocol.
Combined combine(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule);

/// Compares the combined verdicts of the two orders of a pair or label sample.
OrderAgreement compare_orders(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule);

/// "exclude", "wrong", "tie" or "constant". Throws base::Error naming the valid words.
UnreadablePolicy policy_named(std::string_view name);

}  // namespace assize::verdict
