#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "app/plan.h"
#include "results/journal.h"
#include "verdict/verdict.h"

namespace assize::app {

/// Reads stored generations one at a time, whichever suite of the plan they belong to. The plan must outlive it.
class JudgementReader {
 public:
  explicit JudgementReader(const Plan& plan);
  /// The status of the verdict; `ok` for a judgement that the plan does not ask for.
  verdict::VerdictStatus status(const results::Judgement& judgement) const;

 private:
  const Plan& plan_;
  std::unordered_map<std::string, const suite::Suite*> suites_;
};

/// Which judgements `assize run --retry` makes again.
struct RetryChoice {
  bool failed = false;      ///< with the same noise: nothing was generated
  bool truncated = false;   ///< at the token limit; with new noise, since the same would end there again
  bool unreadable = false;  ///< with new noise
  bool any() const { return failed || truncated || unreadable; }
};

/// The choice that the words failed, truncated, unreadable make. Throws Error on another word, and on one that
/// could only bring the same text again under the job's sampling.
RetryChoice retry_choice(const std::vector<std::string>& words, const job::JobSpec& job);

/// Collects the calls of a journal that are to be made again, as they are read.
class RetryList {
 public:
  RetryList(const Plan& plan, RetryChoice choice) : reader_(plan), choice_(choice) {}
  void see(const results::Judgement& judgement, base::Hash128 call);
  /// Retracts them. Returns how many there were.
  std::uint64_t retract_from(results::Journal& journal) const;

 private:
  JudgementReader reader_;
  RetryChoice choice_;
  std::vector<base::Hash128> same_noise_, new_noise_;
};

/// Says when a run brings so little that it should not go on: more than `share` of at least kLeastJudgements
/// judgements of this start are failed, truncated or unreadable.
class StopRule {
 public:
  static constexpr std::uint64_t kLeastJudgements = 200;
  StopRule(const Plan& plan, double share) : reader_(plan), share_(share) {}
  void see(const results::Judgement& judgement);
  bool broken() const;
  /// One line: how many of how many, by kind.
  std::string reason() const;

 private:
  JudgementReader reader_;
  double share_;
  std::uint64_t seen_ = 0, failed_ = 0, truncated_ = 0, unreadable_ = 0;
};

}  // namespace assize::app
