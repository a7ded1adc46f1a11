#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "app/plan.h"
#include "results/journal_index.h"
#include "results/rows.h"
#include "verdict/combine.h"

namespace assize::app {

/// The verdict of one stored generation under the job's reading and parser, about the candidates that the call
/// shows, in ascending order (verdict::local_order).
verdict::Verdict read_judgement(const results::Judgement& judgement, const suite::Suite& suite, const job::Judging& judging);

/// How the votes of a suite's samples become one verdict: what the job says, else what the suite's profile says.
verdict::CombineRule combine_rule(const suite::Suite& suite, const job::Judging& judging);

/// Places in call_keys of the calls that a sample needs as far as `votes`, the readable and unreadable ones that are
/// there, can tell: all of them, or with adaptive voting those of votes 1…k (verdict::votes_wanted).
std::vector<std::uint32_t> calls_wanted(const Plan& plan, const suite::Suite& suite, const std::vector<base::CallKey>& keys,
                                        std::span<const verdict::Vote> votes);

/// The calls of one sample: which of them are in the journal, and what they say.
struct ReadCalls {
  std::uint64_t wanted = 0;                 ///< adaptive voting: as far as can be told
  std::uint64_t spared = 0;                 ///< calls that adaptive voting can do without, as far as can be told
  std::uint64_t failed = 0;                 ///< judged, without a generation
  std::vector<results::JudgementRow> rows;  ///< judged ones in order of call_keys; `sample` is set
  std::vector<verdict::Vote> votes;         ///< the same
};

/// Reads the calls of a plan's samples from a journal. Both must outlive it.
class CallReader {
 public:
  CallReader(const Plan& plan, const results::JournalIndex& index);
  /// The calls of `sample`, which will be row `sample_row` of /samples.
  ReadCalls read(const suite::Suite& suite, const suite::Sample& sample, std::int64_t sample_row) const;

 private:
  const Plan& plan_;
  const results::JournalIndex& index_;
  std::vector<std::string> scale_;  ///< whole numbers of the scales, for expectations
};

/// What the results file of a run says about itself.
results::FileInfo file_info(const Plan& plan, const results::JournalSummary& journal);

}  // namespace assize::app
