#include "metrics/table_builder.h"

#include <algorithm>

#include "metrics/categorical.h"
#include "metrics/statistics.h"

namespace assize::metrics {

std::vector<std::string> label_set(verdict::Protocol protocol) {
  if (protocol == verdict::Protocol::label) return {"A>B", "B>A", "A=B=Good", "A=B=Bad"};
  return {"A", "B", "tie"};
}

int class_of(const std::vector<std::string>& labels, const std::string& word) {
  return static_cast<int>(std::find(labels.begin(), labels.end(), word) - labels.begin());
}

double right(const JudgedSample& sample) { return sample.combined.choice == sample.human ? 1 : 0; }

double ranking_distance(const JudgedSample& sample) { return distance_of(sample.combined.choice, sample.human); }

double distance_of(const std::string& choice, const std::string& human) {
  return choice == "wrong" ? 1.0 : normalised_levenshtein(choice, human);
}

void TableBuilder::add(const std::string& group, const std::string& name, const std::string& what,
                       const Samples& items, const Statistic& statistic) {
  std::vector<std::string_view> names;
  for (const auto* item : items) names.push_back(item->cluster);
  const bool clustered = std::any_of(names.begin(), names.end(), [](const auto& n) { return !n.empty(); });
  const auto clusters = clustered ? dense(names, EmptyName::own) : std::vector<std::uint32_t>{};
  metrics.push_back(
      {rule_.suite, group, name, what, bootstrap(statistic, items.size(), rule_.bootstrap, clusters)});
}

void TableBuilder::add_mean(const std::string& group, const std::string& name, const std::string& what,
                            const Samples& items,
                            const std::function<std::optional<double>(const JudgedSample&)>& value) {
  Samples kept;
  std::vector<double> values;
  for (const auto* item : items) {
    if (const auto number = value(*item)) {
      kept.push_back(item);
      values.push_back(*number);
    }
  }
  add(group, name, what, kept, mean_statistic(values));
}

}  // namespace assize::metrics
