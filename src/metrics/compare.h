#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "metrics/metric_table.h"
#include "metrics/significance.h"

namespace assize::metrics {

/// Two judges on one metric, over the items that both have a verdict on.
struct Comparison {
  std::string group;  ///< empty: all items
  std::string name;   ///< metric
  std::string rule;   ///< one line
  bool lower_is_better = false;
  Estimate first, second;  ///< each judge alone
  Estimate difference;     ///< second minus first, paired bootstrap
  Figure permutation;      ///< two-sided p-value of "no difference"
  double holm = 1;         ///< `permutation` adjusted over the groups; rows of a group only
  /// pair and label: items that only one judge has right, and McNemar's p-value; -1 elsewhere.
  std::int64_t only_first = -1, only_second = -1;
  double mcnemar = -1;
};

/// Items for a comparison, one entry per item in every list; `human` and `human_score` of the first judge's
/// entry are people's label.
struct PairedSamples {
  std::vector<const JudgedSample*> first, second;
};

/// Compares two judges with people: accuracy (pair, label), Pearson, Spearman and mean absolute error
/// (score), normalised Levenshtein (rank), each over all items, and the first of them in each group. Items
/// without a human label or without a verdict of both judges do not count. Clusters are those of the first
/// judge's samples.
std::vector<Comparison> compare_with_people(const PairedSamples& samples, const AgreementRule& rule,
                                            const PermutationSettings& permutations);

/// How far two judges agree with each other, people apart: same verdict and kappa, correlations and mean
/// difference, or distance of the rankings. Items without a verdict of both do not count.
std::vector<Metric> compare_judges(const PairedSamples& samples, const AgreementRule& rule);

/// Krippendorff's alpha over all judges (`judges`[j][i]: judge j on item i): nominal, for scores interval;
/// nothing for rankings. Judges without a verdict on an item are missing there.
std::vector<Metric> agreement_of_judges(const std::vector<std::vector<const JudgedSample*>>& judges,
                                        const AgreementRule& rule);

}  // namespace assize::metrics
