#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "verdict/combine.h"

namespace assize::verdict {

/// What the calls of one prompt say about its candidates.
struct Rewards {
  /// Per candidate. Where the answers have numbers: the mean over the readable votes that show it. Else the share
  /// of its comparisons that it won, a tie counting half. Nothing where no vote about it could be read.
  std::vector<std::optional<double>> rewards;
  std::vector<int> ranks;           ///< 1 is the best, equal rewards share a rank ("1224"); 0 without a reward
  std::optional<std::size_t> best;  ///< candidate of rank 1; of several the one that comes first in the data
  int votes = 0;                    ///< that were readable
  int unreadable = 0;               ///< unreadable, truncated or failed
};

/// Rewards of `candidates` candidates. A vote may show some of them only; its verdict is then about those, in
/// ascending order (`local_order`). Votes that could not be read count for nothing.
Rewards reward_candidates(std::span<const Vote> votes, int candidates);

/// The presentation with the candidates that it shows numbered 0, 1, … in ascending order: {4, 2} is {1, 0}.
std::vector<std::uint16_t> local_order(std::span<const std::uint16_t> presentation);

/// A preference between two candidates of one prompt.
struct Preference {
  std::size_t chosen = 0;
  std::size_t rejected = 0;
  double score_chosen = 0;  ///< their rewards
  double score_rejected = 0;
  /// Share of the readable votes that show both and prefer `chosen`; nothing where none shows both.
  std::optional<double> agreement;
  OrderAgreement orders = OrderAgreement::not_tried;  ///< over the votes that show both
  double margin() const { return score_chosen - score_rejected; }
};

/// Which preferences are made of a prompt's rewards.
enum class PairChoice : std::uint8_t {
  best_worst,  ///< one: the best against the worst
  all,         ///< every two candidates
};

struct PreferenceRule {
  PairChoice which = PairChoice::best_worst;
  double margin = 0;                      ///< the least difference of rewards; equal rewards never make a pair
  bool both_orders_must_agree = false;    ///< drop a pair that was compared in both orders and not won in both
};

/// The preferences of one prompt, and why others were not made.
struct Preferences {
  std::vector<Preference> pairs;
  int ties = 0;          ///< equal rewards
  int below_margin = 0;
  int orders_differ = 0;  ///< not won in both orders
};

/// Preferences by the rewards of the same votes, the widest margin first, then by candidate.
Preferences preferences_of(const Rewards& rewards, std::span<const Vote> votes, const PreferenceRule& rule);

}  // namespace assize::verdict
