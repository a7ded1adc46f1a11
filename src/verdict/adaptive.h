#pragma once

#include <span>

#include "verdict/combine.h"

namespace assize::verdict {

/// How votes 1…k of a sample stand when at most `total` may be asked.
struct VotesWanted {
  int votes = 0;         ///< that have to be there before it can be said whether more are needed, or are enough
  bool decided = false;  ///< votes 1…`votes` are there and are the shortest prefix that decides
};

/// Adaptive voting: a prefix of the votes decides when no answers of the later ones could give another choice or a tie:
/// the lead of the first choice over the second (rule majority), or the sum of +1, 0, -1 (rule sign), is larger than the
/// calls that are left. Each vote has `calls` calls (one for every presentation); `votes` holds those that are there, in
/// any order. Which votes exist beyond the prefix never matters. Throws base::Error for the rule mean and for protocol
/// score, where every vote counts.
VotesWanted votes_wanted(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule, int total, int calls);

}  // namespace assize::verdict
