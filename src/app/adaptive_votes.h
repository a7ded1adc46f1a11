#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "app/plan.h"
#include "results/judgement.h"
#include "verdict/vote_list.h"

namespace assize::app {

/// What adaptive voting asks next. A sample's calls are handed out in rounds: as many votes as could decide it, then,
/// when all of them are back, as many more as could decide it. What is asked is a function of the judgements alone,
/// never of the order in which they come.
class AdaptiveVotes {
 public:
  /// `plan` must outlive it.
  explicit AdaptiveVotes(const Plan& plan);

  /// Notes a judgement that is in the journal; one that the plan does not ask for is left out.
  void take(const results::Judgement& judgement);
  /// Calls that are needed and have not been handed out, sample by sample; empty when there are none now.
  std::vector<OutstandingItem> next();
  /// Judgements of the plan taken so far.
  std::uint64_t there() const { return there_; }

 private:
  struct Sample {
    std::uint32_t suite = 0;
    std::uint32_t sample = 0;
    verdict::VoteList votes;  ///< that are there
    std::vector<bool> asked;  ///< by place in call_keys: there or handed out
    std::uint32_t open = 0;   ///< handed out and not back
  };
  struct Place {
    std::uint32_t sample;
    std::uint32_t call;
  };

  const Plan& plan_;
  std::vector<Sample> samples_;
  std::unordered_map<base::Hash128, Place> places_;
  std::deque<std::uint32_t> ready_;  ///< samples without open calls that have not been looked at since
  std::uint64_t there_ = 0;
};

}  // namespace assize::app
