#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metrics/bootstrap.h"
#include "metrics/figure.h"
#include "verdict/combine.h"
#include "verdict/vote_list.h"

namespace assize::metrics {

/// A sample, what people say of it and what the judge said of it.
struct JudgedSample {
  std::string id;
  std::string group;    ///< sub-dataset, system …; may be empty
  std::string cluster;  ///< samples that share it are drawn together for intervals; empty = its own
  std::string human;  ///< pair: "A", "B", "tie"; label: the four labels; rank: "CDAB"; score: empty. Empty =
                      ///< unlabelled
  std::optional<double> human_score;  ///< score protocol
  std::vector<std::string> systems;  ///< who made each candidate, where it is known
  std::vector<std::string>
      annotators;                    ///< single labels, as `human`, where they are known; scores as numbers
  verdict::VoteList votes;     ///< the read calls: presentation, vote, verdict
  verdict::Combined combined;  ///< of all votes
};

/// One row of the metric table.
struct Metric {
  std::string suite;
  std::string group;  ///< empty: all samples
  std::string name;   ///< for example "accuracy, human ties left out"
  std::string rule;   ///< one line: which items count and how
  Estimate estimate;
  bool lower_is_better = false;
};

/// How the table is made.
struct AgreementRule {
  std::string suite;
  verdict::Protocol protocol = verdict::Protocol::pair;
  verdict::CombineRule combine;  ///< as the samples were combined; used for single orders and for fewer votes
  double score_low = 1, score_high = 10;
  BootstrapSettings bootstrap;
};

/// All metrics of one suite: of all samples, macro means over groups where there is more than one, and the
/// protocol's headline metrics of each group. Samples without a human label count for reliability only.
/// A sample without a verdict (policy exclude) leaves agreement; the rate of such samples is a row.
/// Throws base::Error naming the sample for a label that does not fit the protocol.
std::vector<Metric> agreement(std::span<const JudgedSample> samples, const AgreementRule& rule);

/// The metric that a protocol is judged by first: "accuracy", "Pearson" or "normalised Levenshtein".
std::string headline_name(verdict::Protocol protocol);

/// The metric that is 0 for a judge whose verdicts have nothing to do with people's: "Cohen's kappa",
/// "Spearman" or "mean Kendall tau-b".
std::string chance_name(verdict::Protocol protocol);

/// Agreement (headline metric) when only the votes 0 … k-1 of every order count, for k = 1 … most votes.
struct CurvePoint {
  int votes = 0;
  Estimate estimate;
};
std::vector<CurvePoint> vote_curve(std::span<const JudgedSample> samples, const AgreementRule& rule);

/// Pair and label: rows human, columns verdict, `labels` names both; the last column is "no verdict".
struct ConfusionTable {
  std::vector<std::string> labels;
  std::vector<std::vector<std::int64_t>> counts;  ///< [human][verdict or none]
};
ConfusionTable confusion_table(std::span<const JudgedSample> samples, verdict::Protocol protocol);

}  // namespace assize::metrics
