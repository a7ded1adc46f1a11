#include "metrics/compare.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "metrics/statistics.h"
#include "metrics/table_builder.h"

namespace assize::metrics {
namespace {

using verdict::Protocol;

/// One metric of two judges on the same items.
struct Columns {
  std::vector<double> human, first, second;
};

std::vector<std::uint32_t> clusters_of(const Samples& items) {
  std::vector<std::string_view> names;
  for (const auto* item : items) names.push_back(item->cluster);
  const bool clustered =
      std::any_of(names.begin(), names.end(), [](const auto& name) { return !name.empty(); });
  return clustered ? dense(names, EmptyName::own) : std::vector<std::uint32_t>{};
}

class Comparer {
 public:
  Comparer(const PairedSamples& all, const AgreementRule& rule, const PermutationSettings& permutations)
      : rule_(rule), permutations_(permutations) {
    for (std::size_t i = 0; i < all.first.size(); ++i) {
      const auto &a = *all.first[i], &b = *all.second[i];
      const bool labelled = rule.protocol == Protocol::score ? a.human_score.has_value() : !a.human.empty();
      if (!labelled || !a.combined.ok() || !b.combined.ok()) continue;
      samples_.first.push_back(&a);
      samples_.second.push_back(&b);
    }
  }

  std::vector<Comparison> run() {
    compare("", samples_, true);
    std::map<std::string, PairedSamples> groups;
    for (std::size_t i = 0; i < samples_.first.size(); ++i) {
      PairedSamples& group = groups[samples_.first[i]->group];
      group.first.push_back(samples_.first[i]);
      group.second.push_back(samples_.second[i]);
    }
    if (groups.size() < 2) return std::move(out_);
    const std::size_t begin = out_.size();
    for (const auto& [name, members] : groups) compare(name, members, false);
    std::vector<double> p;
    for (std::size_t i = begin; i < out_.size(); ++i)
      p.push_back(out_[i].permutation.defined() ? out_[i].permutation.value : 1);
    const auto adjusted = holm(p);
    for (std::size_t i = begin; i < out_.size(); ++i) out_[i].holm = adjusted[i - begin];
    return std::move(out_);
  }

 private:
  void compare(const std::string& group, const PairedSamples& items, bool all_metrics) {
    if (rule_.protocol == Protocol::score) {
      correlations(group, items, all_metrics);
      return;
    }
    if (rule_.protocol == Protocol::rank) {
      means(group, "normalised Levenshtein", "edits between the rankings over the longer length", items,
            ranking_distance);
      out_.back().lower_is_better = true;
      return;
    }
    means(group, "accuracy", "equal label", items, right);
    Comparison& row = out_.back();
    row.only_first = row.only_second = 0;
    for (std::size_t i = 0; i < items.first.size(); ++i) {
      // The first judge's entry holds people's label for both.
      const bool a = right(*items.first[i]) > 0,
                 b = items.second[i]->combined.choice == items.first[i]->human;
      row.only_first += a && !b;
      row.only_second += b && !a;
    }
    row.mcnemar = mcnemar(row.only_first, row.only_second);
  }

  void means(const std::string& group, const char* name, const char* what, const PairedSamples& items,
             const std::function<double(const JudgedSample&)>& value) {
    std::vector<double> first, second, difference;
    for (std::size_t i = 0; i < items.first.size(); ++i) {
      JudgedSample other = *items.second[i];
      other.human = items.first[i]->human;
      other.human_score = items.first[i]->human_score;
      first.push_back(value(*items.first[i]));
      second.push_back(value(other));
      difference.push_back(second.back() - first.back());
    }
    const auto clusters = clusters_of(items.first);
    Comparison row;
    row.permutation = sign_flip_test(difference, permutations_, clusters);
    add(std::move(row), group, name, what, items, mean_statistic(first), mean_statistic(second),
        mean_statistic(difference), clusters);
  }

  void correlations(const std::string& group, const PairedSamples& items, bool all_metrics) {
    std::vector<double> human, first, second;
    for (std::size_t i = 0; i < items.first.size(); ++i) {
      human.push_back(*items.first[i]->human_score);
      first.push_back(items.first[i]->combined.value);
      second.push_back(items.second[i]->combined.value);
    }
    const auto clusters = clusters_of(items.first);
    Comparison row;
    row.permutation = swap_test(human, first, second, permutations_, clusters);
    add(row, group, "Pearson", "over samples", items, Pearson(human, first), Pearson(human, second), {},
        clusters);
    if (!all_metrics) return;
    row.permutation =
        swap_test(average_ranks(human), average_ranks(first), average_ranks(second), permutations_, clusters);
    add(row, group, "Spearman", "over samples; equal scores share a rank", items, Spearman(human, first),
        Spearman(human, second), {}, clusters);
    means(group, "mean absolute error", "as scored", items,
          [](const JudgedSample& s) { return std::abs(s.combined.value - *s.human_score); });
    out_.back().lower_is_better = true;
  }

  void add(Comparison row, const std::string& group, const char* name, const char* what,
           const PairedSamples& items, const Statistic& first, const Statistic& second,
           const Statistic& difference, const std::vector<std::uint32_t>& clusters) {
    row.group = group;
    row.name = name;
    row.rule = what;
    const auto estimate = [&](const Statistic& statistic) {
      return bootstrap(statistic, items.first.size(), rule_.bootstrap, clusters);
    };
    row.first = estimate(first);
    row.second = estimate(second);
    // Of means the difference is given as a mean of its own: resamples equal to the figure are equal to the
    // bit.
    row.difference = estimate(difference ? difference : [&](Counts counts) -> Figure {
      const Figure a = first(counts), b = second(counts);
      if (!a.defined()) return a;
      return b.defined() ? Figure{b.value - a.value, nullptr} : b;
    });
    out_.push_back(std::move(row));
  }

  const AgreementRule& rule_;
  const PermutationSettings& permutations_;
  PairedSamples samples_;
  std::vector<Comparison> out_;
};

}  // namespace

std::vector<Comparison> compare_with_people(const PairedSamples& samples, const AgreementRule& rule,
                                            const PermutationSettings& permutations) {
  return Comparer(samples, rule, permutations).run();
}

std::vector<Metric> compare_judges(const PairedSamples& samples, const AgreementRule& rule) {
  // The second judge's samples with the first one's verdicts in the place of people's labels.
  std::vector<JudgedSample> pairs;
  for (std::size_t i = 0; i < samples.first.size(); ++i) {
    const auto &a = *samples.first[i], &b = *samples.second[i];
    if (!a.combined.ok() || !b.combined.ok()) continue;
    JudgedSample pair;
    pair.id = a.id;
    pair.cluster = a.cluster;
    pair.human = a.combined.choice;
    pair.human_score = a.combined.value;
    pair.combined = b.combined;
    pairs.push_back(std::move(pair));
  }
  Samples items;
  for (const auto& pair : pairs) items.push_back(&pair);
  TableBuilder table(rule);
  if (rule.protocol == Protocol::score) {
    std::vector<double> first, second;
    for (const auto& pair : pairs) {
      first.push_back(*pair.human_score);
      second.push_back(pair.combined.value);
    }
    table.add("", "Pearson", "between the judges", items, Pearson(first, second));
    table.add("", "Spearman", "between the judges", items, Spearman(first, second));
    table.add("", "Kendall tau-b", "between the judges", items, Kendall(first, second));
    table.add_mean("", "mean difference", "second judge minus first", items,
                   [](const JudgedSample& s) { return std::optional(s.combined.value - *s.human_score); });
    return std::move(table.metrics);
  }
  table.add_mean("", "same verdict", "share of the items", items, right);
  if (rule.protocol == Protocol::rank) {
    table.add_mean("", "normalised Levenshtein", "between the judges", items, ranking_distance);
    table.lower_is_better();
    return std::move(table.metrics);
  }
  const auto labels = label_set(rule.protocol);
  std::vector<int> first, second;
  for (const auto& pair : pairs) {
    first.push_back(class_of(labels, pair.human));
    second.push_back(class_of(labels, pair.combined.choice));
  }
  table.add("", "Cohen's kappa", "between the judges", items,
            [=](Counts counts) { return cohen_kappa(confusion(first, second, labels.size() + 1, counts)); });
  return std::move(table.metrics);
}

std::vector<Metric> agreement_of_judges(const std::vector<Samples>& judges, const AgreementRule& rule) {
  if (judges.empty() || rule.protocol == Protocol::rank) return {};
  const std::size_t items = judges[0].size();
  TableBuilder table(rule);
  if (rule.protocol == Protocol::score) {
    std::vector<std::vector<double>> ratings(items);
    for (const auto& judge : judges) {
      for (std::size_t i = 0; i < items; ++i) {
        if (judge[i]->combined.ok()) ratings[i].push_back(judge[i]->combined.value);
      }
    }
    table.add("", "Krippendorff's alpha", "all judges; interval", judges[0], IntervalAlpha(ratings));
    return std::move(table.metrics);
  }
  const auto labels = label_set(rule.protocol);
  const std::size_t classes = labels.size() + 1;  // "wrong" is the class behind the labels
  RatingTable ratings{classes, std::vector<double>(items * classes)};
  for (const auto& judge : judges) {
    for (std::size_t i = 0; i < items; ++i) {
      if (!judge[i]->combined.ok()) continue;
      ++ratings.cells[i * classes + static_cast<std::size_t>(class_of(labels, judge[i]->combined.choice))];
    }
  }
  table.add("", "Krippendorff's alpha", "all judges; nominal", judges[0],
            [&](Counts counts) { return krippendorff_alpha(ratings, Level::nominal, counts); });
  return std::move(table.metrics);
}

}  // namespace assize::metrics
