#include "metrics/metric_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "metrics/ranking.h"
#include "metrics/statistics.h"
#include "metrics/table_builder.h"

namespace assize::metrics {
namespace {

using verdict::Protocol;

bool labelled(const JudgedSample& sample, Protocol protocol) {
  return protocol == Protocol::score ? sample.human_score.has_value() : !sample.human.empty();
}

void check_label(const JudgedSample& sample, Protocol protocol) {
  const auto refuse = [&](const std::string& what) {
    throw base::Error(fmt::format("sample '{}': {}; correct the label in the suite", sample.id, what));
  };
  if (protocol == Protocol::score) {
    if (sample.human_score && !std::isfinite(*sample.human_score))
      refuse("the human score is not a finite number");
    return;
  }
  if (sample.human.empty()) return;
  if (protocol == Protocol::rank) {
    std::string sorted = sample.human;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<char>('A' + i))
        refuse("the human label '" + sample.human + "' is no ranking");
    }
    return;
  }
  const auto labels = label_set(protocol);
  if (class_of(labels, sample.human) == static_cast<int>(labels.size())) {
    refuse(fmt::format("the human label '{}' is none of {}", sample.human, fmt::join(labels, ", ")));
  }
}

std::vector<std::uint32_t> groups_of(const Samples& items) {
  std::vector<std::string_view> names;
  for (const auto* item : items) names.push_back(item->group);
  return dense(names, EmptyName::shared);
}

std::vector<std::string> group_names(const Samples& items) {
  std::vector<std::string> names;
  for (const auto* item : items) {
    if (std::find(names.begin(), names.end(), item->group) == names.end()) names.push_back(item->group);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Samples in_group(const Samples& items, const std::string& group) {
  Samples out;
  std::copy_if(items.begin(), items.end(), std::back_inserter(out),
               [&](const auto* item) { return item->group == group; });
  return out;
}

// Accuracy when scores that differ by little are ties, where the judge gives scores and people call ties.
void add_calibrated(TableBuilder& table, const Samples& items) {
  Samples scored;
  std::vector<int> truth;
  std::vector<double> margins;
  for (const auto* item : items) {
    if (item->combined.scores.size() != 2) continue;
    scored.push_back(item);
    truth.push_back(item->human == "A" ? 1 : item->human == "B" ? -1 : 0);
    margins.push_back(item->combined.scores[0] - item->combined.scores[1]);
  }
  if (std::count(truth.begin(), truth.end(), 0) == 0) return;
  const double threshold = calibrate_ties(truth, margins).threshold;
  std::vector<double> hits;
  for (std::size_t i = 0; i < truth.size(); ++i) hits.push_back(concordant(truth[i], margins[i], threshold) ? 1 : 0);
  table.add("", "accuracy, ties calibrated",
            fmt::format("mean scores that differ by up to {:.4g} are a tie: the best threshold on these samples", threshold),
            scored, mean_statistic(hits));
}

void add_label_metrics(TableBuilder& table, const Samples& items, Protocol protocol) {
  const bool pair = protocol == Protocol::pair;
  table.add_mean("", "accuracy", pair ? "tie is a label like the others" : "equal label", items, right);
  if (pair) {
    const auto unless = [](bool left_out, const JudgedSample& s) {
      return left_out ? std::nullopt : std::optional(right(s));
    };
    table.add_mean("", "accuracy, human ties left out", "a predicted tie is wrong", items,
                   [&](const JudgedSample& s) { return unless(s.human == "tie", s); });
    table.add_mean("", "accuracy, predicted ties left out", "a human tie is wrong", items,
                   [&](const JudgedSample& s) { return unless(s.combined.choice == "tie", s); });
    table.add_mean(
        "", "accuracy, all ties left out", "neither human nor predicted ties", items,
        [&](const JudgedSample& s) { return unless(s.human == "tie" || s.combined.choice == "tie", s); });
  }
  if (pair) add_calibrated(table, items);
  const auto names = group_names(items);
  if (names.size() > 1) {
    std::vector<double> hits, ones(items.size(), 1.0);
    for (const auto* item : items) hits.push_back(right(*item));
    table.add("", "accuracy, mean of groups", fmt::format("unweighted mean over {} groups", names.size()),
              items, macro_ratio_statistic(hits, ones, groups_of(items)));
  }
  const auto labels = label_set(protocol);
  std::vector<int> human, judge;
  for (const auto* item : items) {
    human.push_back(class_of(labels, item->human));
    judge.push_back(class_of(labels, item->combined.choice));  // "wrong" is the class behind the labels
  }
  const std::size_t classes = labels.size() + 1;
  const auto tabled = [=](auto figure) -> Statistic {
    return [=](Counts counts) { return figure(confusion(human, judge, classes, counts)); };
  };
  const std::size_t averaged = labels.size();
  table.add("", "Cohen's kappa", "unweighted, margins of both sides", items,
            tabled([](const Confusion& t) { return cohen_kappa(t); }));
  table.add("", "macro precision", "mean over the labels", items,
            tabled([=](const Confusion& t) { return macro_scores(t, averaged).precision; }));
  table.add("", "macro recall", "mean over the labels", items,
            tabled([=](const Confusion& t) { return macro_scores(t, averaged).recall; }));
  table.add("", "macro F1", "mean over the labels", items,
            tabled([=](const Confusion& t) { return macro_scores(t, averaged).f1; }));
  if (pair) {
    table.add_mean("", "human tie rate", "share of the human labels", items,
                   [](const JudgedSample& s) { return s.human == "tie" ? 1.0 : 0.0; });
    table.add_mean("", "predicted tie rate", "share of the verdicts", items,
                   [](const JudgedSample& s) { return s.combined.choice == "tie" ? 1.0 : 0.0; });
  }
  if (names.size() > 1) {
    for (const auto& name : names)
      table.add_mean(name, "accuracy", "equal label", in_group(items, name), right);
  }
}

struct Columns {
  std::vector<double> human, judge;
};

Columns columns(const Samples& items) {
  Columns out;
  for (const auto* item : items) {
    out.human.push_back(*item->human_score);
    out.judge.push_back(item->combined.value);
  }
  return out;
}

void add_score_metrics(TableBuilder& table, const Samples& items) {
  const auto add_all = [&](const std::string& group, const std::string& prefix, const std::string& what,
                           const Samples& of) {
    const auto c = columns(of);
    table.add(group, prefix + "Pearson", what, of, Pearson(c.human, c.judge));
    table.add(group, prefix + "Spearman", what, of, Spearman(c.human, c.judge));
    table.add(group, prefix + "Kendall tau-b", what, of, Kendall(c.human, c.judge));
  };
  add_all("", "", "over samples; equal scores share a rank", items);
  table.add_mean("", "mean squared error", "judge minus human, as scored", items, [](const JudgedSample& s) {
    const double d = s.combined.value - *s.human_score;
    return std::optional(d * d);
  });
  table.lower_is_better();
  table.add_mean("", "mean error", "judge minus human: above 0 the judge is lenient", items,
                 [](const JudgedSample& s) { return std::optional(s.combined.value - *s.human_score); });
  const auto names = group_names(items);
  if (names.size() < 2) return;
  const auto groups = groups_of(items);
  const auto c = columns(items);
  const auto of_group = [&](auto make) {
    return macro_statistic(groups, [&c, make](const std::vector<std::size_t>& members) -> Statistic {
      std::vector<double> human, judge;
      for (const auto i : members) {
        human.push_back(c.human[i]);
        judge.push_back(c.judge[i]);
      }
      return make(human, judge);
    });
  };
  const std::string mean_of = fmt::format("unweighted mean over {} groups", names.size());
  table.add("", "Pearson, mean of groups", mean_of, items,
            of_group([](auto& x, auto& y) { return Statistic(Pearson(x, y)); }));
  table.add("", "Spearman, mean of groups", mean_of, items,
            of_group([](auto& x, auto& y) { return Statistic(Spearman(x, y)); }));

  // System level: correlation of the groups' mean scores.
  const auto by_group = [=](auto figure) -> Statistic {
    return [=](Counts counts) {
      const std::size_t count = *std::max_element(groups.begin(), groups.end()) + std::size_t{1};
      std::vector<double> human(count), judge(count), size(count);
      for (std::size_t i = 0; i < groups.size(); ++i) {
        const double w = counts.empty() ? 1.0 : static_cast<double>(counts[i]);
        human[groups[i]] += w * c.human[i];
        judge[groups[i]] += w * c.judge[i];
        size[groups[i]] += w;
      }
      Columns means;
      for (std::size_t g = 0; g < count; ++g) {
        if (size[g] == 0) continue;
        means.human.push_back(human[g] / size[g]);
        means.judge.push_back(judge[g] / size[g]);
      }
      return figure(means.human, means.judge);
    };
  };
  const std::string systems = fmt::format("over the mean scores of {} groups", names.size());
  table.add("", "system-level Pearson", systems, items,
            by_group([](auto& x, auto& y) { return pearson(x, y); }));
  table.add("", "system-level Spearman", systems, items,
            by_group([](auto& x, auto& y) { return spearman(x, y); }));
  table.add("", "system-level Kendall tau-b", systems, items,
            by_group([](auto& x, auto& y) { return kendall_tau_b(x, y); }));
  for (const auto& name : names) {
    const auto members = in_group(items, name);
    const auto own = columns(members);
    table.add(name, "Pearson", "over samples", members, Pearson(own.human, own.judge));
    table.add(name, "Spearman", "over samples", members, Spearman(own.human, own.judge));
  }
}

// Kendall's tau-b between two rankings; the judge's scores give its ties where it has scores.
std::optional<double> ranking_tau(const JudgedSample& sample) {
  const std::size_t n = sample.human.size();
  std::vector<double> human(n), judge;
  for (std::size_t place = 0; place < n; ++place)
    human[static_cast<std::size_t>(sample.human[place] - 'A')] = -static_cast<double>(place);
  if (sample.combined.scores.size() == n) {
    judge = sample.combined.scores;
  } else {
    judge.assign(n, -static_cast<double>(n));
    for (std::size_t place = 0; place < sample.combined.choice.size(); ++place) {
      const auto candidate = static_cast<std::size_t>(sample.combined.choice[place] - 'A');
      if (candidate < n) judge[candidate] = -static_cast<double>(place);
    }
  }
  const Figure tau = kendall_tau_b(human, judge);
  return tau.defined() ? std::optional(tau.value) : std::nullopt;
}

void add_rank_metrics(TableBuilder& table, const Samples& items) {
  const std::string what = "edits between the rankings over the longer length; ties by letter";
  table.add_mean("", "normalised Levenshtein", what, items, ranking_distance);
  table.lower_is_better();
  table.add_mean("", "exact ranking", "share of equal rankings", items, right);
  table.add_mean(
      "", "best candidate found", "share of samples with the human first place in first place", items,
      [](const JudgedSample& s) { return std::optional(s.combined.choice[0] == s.human[0] ? 1.0 : 0.0); });
  table.add_mean("", "mean Kendall tau-b", "mean over samples; equal scores are ties", items, ranking_tau);
  const auto names = group_names(items);
  if (names.size() < 2) return;
  std::vector<double> distances, ones(items.size(), 1.0);
  for (const auto* item : items) distances.push_back(ranking_distance(*item));
  table.add("", "normalised Levenshtein, mean of groups", fmt::format("unweighted mean over {} groups", names.size()),
            items, macro_ratio_statistic(distances, ones, groups_of(items)));
  table.lower_is_better();
  for (const auto& name : names) {
    table.add_mean(name, "normalised Levenshtein", what, in_group(items, name), ranking_distance);
    table.lower_is_better();
  }
}

}  // namespace

std::string headline_name(Protocol protocol) {
  if (protocol == Protocol::score) return "Pearson";
  return protocol == Protocol::rank ? "normalised Levenshtein" : "accuracy";
}

std::string chance_name(Protocol protocol) {
  if (protocol == Protocol::score) return "Spearman";
  return protocol == Protocol::rank ? "mean Kendall tau-b" : "Cohen's kappa";
}

std::vector<Metric> agreement(std::span<const JudgedSample> samples, const AgreementRule& rule) {
  Samples all, items;
  for (const auto& sample : samples) {
    check_label(sample, rule.protocol);
    all.push_back(&sample);
    if (labelled(sample, rule.protocol) && sample.combined.ok()) items.push_back(&sample);
  }
  TableBuilder table(rule);
  if (std::any_of(all.begin(), all.end(),
                  [&](const auto* sample) { return labelled(*sample, rule.protocol); })) {
    if (rule.protocol == Protocol::score) {
      add_score_metrics(table, items);
      add_selection(table, items);
    } else if (rule.protocol == Protocol::rank) {
      add_rank_metrics(table, items);
    } else {
      add_label_metrics(table, items, rule.protocol);
      add_systems(table, items, rule.protocol);
    }
    add_ceiling(table, all, rule.protocol);
  }
  add_reliability(table, all, rule.protocol);
  return std::move(table.metrics);
}

std::vector<CurvePoint> vote_curve(std::span<const JudgedSample> samples, const AgreementRule& rule) {
  std::uint32_t most = 0;
  for (const auto& sample : samples) {
    for (const auto& vote : sample.votes.unpacked()) most = std::max(most, vote.vote + 1);
  }
  std::vector<CurvePoint> curve;
  for (std::uint32_t count = 1; count <= most; ++count) {
    Samples items;
    std::vector<double> human, judge;  // judge: score, distance of the ranking, or 1 where it is right
    for (const auto& sample : samples) {
      if (!labelled(sample, rule.protocol)) continue;
      auto votes = sample.votes.unpacked();
      std::erase_if(votes, [&](const auto& vote) { return vote.vote >= count; });
      const verdict::Combined combined = verdict::combine(votes, rule.protocol, rule.combine);
      if (!combined.ok()) continue;
      items.push_back(&sample);
      if (rule.protocol == Protocol::score) human.push_back(*sample.human_score);
      judge.push_back(rule.protocol == Protocol::score  ? combined.value
                      : rule.protocol == Protocol::rank ? distance_of(combined.choice, sample.human)
                      : combined.choice == sample.human ? 1
                                                        : 0);
    }
    TableBuilder table(rule);
    const Statistic statistic = rule.protocol == Protocol::score ? Statistic(Pearson(human, judge)) : mean_statistic(judge);
    table.add("", headline_name(rule.protocol), "", items, statistic);
    curve.push_back({static_cast<int>(count), table.metrics.front().estimate});
  }
  return curve;
}

ConfusionTable confusion_table(std::span<const JudgedSample> samples, Protocol protocol) {
  ConfusionTable table;
  if (protocol == Protocol::score || protocol == Protocol::rank) return table;
  table.labels = label_set(protocol);
  table.counts.assign(table.labels.size(), std::vector<std::int64_t>(table.labels.size() + 1));
  for (const auto& sample : samples) {
    const auto row = static_cast<std::size_t>(class_of(table.labels, sample.human));
    const auto column =
        static_cast<std::size_t>(class_of(table.labels, sample.combined.ok() ? sample.combined.choice : ""));
    if (row < table.labels.size()) ++table.counts[row][column];
  }
  return table;
}

}  // namespace assize::metrics
