#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "metrics/metric_table.h"

namespace assize::metrics {

using Samples = std::vector<const JudgedSample*>;

/// The labels of the pair and the label protocol, in the order of tables.
std::vector<std::string> label_set(verdict::Protocol protocol);

/// Place of `word` among `labels`; their number when it is none of them.
int class_of(const std::vector<std::string>& labels, const std::string& word);

/// 1 where the verdict is the human label, otherwise 0.
double right(const JudgedSample& sample);

/// rank: normalised Levenshtein distance of the verdict from the human label; 1 for the verdict "wrong".
double ranking_distance(const JudgedSample& sample);
double distance_of(const std::string& choice, const std::string& human);

/// Builds metric rows: knows the suite, the bootstrap settings and the clusters of the items at hand.
class TableBuilder {
 public:
  /// `rule` must outlive the builder.
  explicit TableBuilder(const AgreementRule& rule) : rule_(rule) {}

  void add(const std::string& group, const std::string& name, const std::string& what, const Samples& items,
           const Statistic& statistic);

  /// Mean over the items for which `value` gives a number.
  void add_mean(const std::string& group, const std::string& name, const std::string& what,
                const Samples& items, const std::function<std::optional<double>(const JudgedSample&)>& value);

  /// Marks the row added last.
  void lower_is_better() { metrics.back().lower_is_better = true; }

  std::vector<Metric> metrics;

 private:
  const AgreementRule& rule_;
};

/// Rows about the judge itself: unread calls, agreement among votes and between orders.
void add_reliability(TableBuilder& table, const Samples& items, verdict::Protocol protocol);

/// score: rows about choosing one of several candidates of a prompt (samples that share a cluster): best-of-N and
/// pairwise concordance. Nothing where every sample has a prompt of its own.
void add_selection(TableBuilder& table, const Samples& items);

/// pair, label: rows about the systems that made the candidates: win rates and Bradley-Terry strengths by people and by
/// the judge. Nothing where the systems are not known.
void add_systems(TableBuilder& table, const Samples& items, verdict::Protocol protocol);

/// Rows about people: how well annotators agree with each other, where samples have several.
void add_ceiling(TableBuilder& table, const Samples& items, verdict::Protocol protocol);

}  // namespace assize::metrics
