#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verdict/verdict.h"

namespace assize::verdict {

/// What stands in for a verdict that could not be read. Always counted and shown apart.
enum class UnreadablePolicy : std::uint8_t {
  exclude,   ///< leaves the votes; a sample without any readable vote has no verdict
  wrong,     ///< a verdict that equals no human label
  tie,       ///< a tie (pair), both bad (label)
  constant,  ///< `constant` as the score
};

/// What decides between labels with equally many votes.
enum class VoteTies : std::uint8_t {
  tie,         ///< the tie label (pair: tie; label: A=B=Good if only tie labels lead, else the sign of the mean; rank: mean rank)
  first_seen,  ///< the label that was voted first, in call order (as Python's Counter.most_common)
};

/// How votes and orders become one verdict.
struct CombineRule {
  UnreadablePolicy unreadable = UnreadablePolicy::exclude;
  double constant = 0;
  VoteTies ties = VoteTies::tie;
};

/// One read call of a sample.
struct Vote {
  std::vector<std::uint16_t> presentation;
  std::uint32_t vote = 0;
  Verdict verdict;
};

/// Whether a judge says the same when the candidates are exchanged.
enum class OrderAgreement : std::uint8_t {
  not_tried,        ///< one order only, or one of them unreadable
  consistent,
  prefers_first,    ///< the candidate shown first wins in both orders
  prefers_second,   ///< the candidate shown second wins in both orders
  inconsistent,     ///< differs in another way (a tie in one order only)
};

/// One verdict per sample.
struct Combined {
  VerdictStatus status = VerdictStatus::unreadable;
  std::string choice;          ///< as Verdict::choice; "wrong" under UnreadablePolicy::wrong
  double value = 0;            ///< mean of the votes' values
  std::vector<double> scores;  ///< per candidate, mean of the votes that have scores
  double agreement = 0;        ///< share of the counted votes that name `choice` (score: 1 minus the spread on the scale is not defined: 0)
  int votes = 0;               ///< counted votes
  int unreadable = 0;          ///< votes that were unreadable, truncated or failed
  OrderAgreement orders = OrderAgreement::not_tried;
};

/// Combines the votes of one sample. pair, label, rank: majority of the choices over all votes of all orders;
/// score: mean. `votes` may come in any order: they are taken by (vote, presentation).
Combined combine(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule);

/// Compares the orders of a pair or label sample: majority per presentation, exact exchange of two candidates.
OrderAgreement compare_orders(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule);

/// "exclude", "wrong", "tie", "constant". Throws base::Error naming the valid words.
UnreadablePolicy policy_named(std::string_view name);

}  // namespace assize::verdict
