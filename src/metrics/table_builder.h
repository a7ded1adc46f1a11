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

/// Rows about people: how well annotators agree with each other, where samples have several.
void add_ceiling(TableBuilder& table, const Samples& items, verdict::Protocol protocol);

}  // namespace assize::metrics
