#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "results/judgement.h"
#include "verdict/verdict.h"

namespace assize::results {

/// Row of /samples: what was asked, what people say, and the verdict over all calls of the sample.
struct SampleRow {
  std::string suite;
  std::string id;
  std::string group;     ///< sub-dataset, system, …; empty where the suite has none
  std::string cluster;   ///< samples that share it are drawn together for intervals
  std::string question;
  std::string human_choice;  ///< as Verdict::choice; empty where people gave none
  double human_value = 0;    ///< NaN where people gave no number
  verdict::VerdictStatus status = verdict::VerdictStatus::unreadable;
  std::string choice;
  double value = 0;
  std::vector<double> scores;  ///< one per candidate or empty
  std::uint32_t votes = 0;       ///< that count
  std::uint32_t unreadable = 0;  ///< unreadable, truncated or failed
  double agreement = 0;        ///< share of the counted votes that say `choice`
  std::uint8_t orders = 0;     ///< verdict::OrderAgreement
};

/// Row of /candidates.
struct CandidateRow {
  std::int64_t sample = 0;  ///< row of /samples
  std::uint16_t index = 0;
  std::string text;
  std::string source;  ///< who wrote it; empty where unknown
  double reward = std::numeric_limits<double>::quiet_NaN();  ///< NaN: none
  std::uint32_t rank = 0;  ///< 1 is the best; 0: no reward
};

/// Row of /pairs: a preference between two candidates of a sample.
struct PairRow {
  std::int64_t sample = 0;  ///< row of /samples
  std::uint16_t chosen = 0;
  std::uint16_t rejected = 0;
  double score_chosen = 0;
  double score_rejected = 0;
  double margin = 0;
  double agreement = 0;     ///< NaN: no vote shows both
  std::uint8_t orders = 0;  ///< verdict::OrderAgreement
};

/// Row of /judgements, and of /timing beside it.
struct JudgementRow {
  std::int64_t sample = 0;  ///< row of /samples
  Judgement judgement;
  verdict::Verdict verdict;
  std::vector<double> expected_scores;  ///< candidate order; empty where unknown
};

/// Row of /metrics.
struct MetricRow {
  std::string suite;
  std::string group;  ///< empty: the whole suite
  std::string name;
  std::string rule;   ///< how ties and unreadable verdicts count
  double value = 0;
  double low = 0;     ///< interval; NaN where there is none
  double high = 0;
  std::int64_t n = 0;  ///< samples in it
};

/// Row of /throughput: one measured number of a throughput job.
struct ThroughputRow {
  std::string run;    ///< of a scaling series: "strong 2"; else empty
  std::int32_t group = -1;  ///< worker group; -1: all of them
  std::string phase;  ///< whole, warm-up, steady or tail
  std::string name;
  std::string unit;
  double value = 0;   ///< NaN where it is not defined
};

/// Root attributes: what the file says about itself.
struct FileInfo {
  std::string code_version;
  std::string created;     ///< UTC, ISO 8601
  std::string job;         ///< resolved job text
  std::string identity;    ///< what the generations depend on, "key: value" lines
  std::string model_hash;  ///< hex
  std::uint64_t seed = 0;
};

}  // namespace assize::results
