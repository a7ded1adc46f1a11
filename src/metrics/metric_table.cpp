#include "metrics/metric_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "metrics/statistics.h"

namespace assize::metrics {
namespace {

using verdict::OrderAgreement;
using verdict::Protocol;
using verdict::VerdictStatus;
using Samples = std::vector<const JudgedSample*>;

std::vector<std::string> label_set(Protocol protocol) {
  if (protocol == Protocol::label) return {"A>B", "B>A", "A=B=Good", "A=B=Bad"};
  return {"A", "B", "tie"};
}

int class_of(const std::vector<std::string>& labels, const std::string& word) {
  return static_cast<int>(std::find(labels.begin(), labels.end(), word) - labels.begin());
}

bool labelled(const JudgedSample& sample, Protocol protocol) {
  return protocol == Protocol::score ? sample.human_score.has_value() : !sample.human.empty();
}

void check_label(const JudgedSample& sample, Protocol protocol) {
  const auto refuse = [&](const std::string& what) {
    throw base::Error(fmt::format("sample '{}': {}; correct the label in the suite", sample.id, what));
  };
  if (protocol == Protocol::score) {
    if (sample.human_score && !std::isfinite(*sample.human_score)) refuse("the human score is not a finite number");
    return;
  }
  if (sample.human.empty()) return;
  if (protocol == Protocol::rank) {
    std::string sorted = sample.human;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (sorted[i] != static_cast<char>('A' + i)) refuse("the human label '" + sample.human + "' is no ranking");
    }
    return;
  }
  const auto labels = label_set(protocol);
  if (class_of(labels, sample.human) == static_cast<int>(labels.size())) {
    refuse(fmt::format("the human label '{}' is none of {}", sample.human, fmt::join(labels, ", ")));
  }
}

// Builds rows: keeps the suite, the rule and the clusters of the items at hand.
class Table {
 public:
  explicit Table(const AgreementRule& rule) : rule_(rule) {}

  void add(const std::string& group, const std::string& name, const std::string& what, const Samples& items,
           const Statistic& statistic) {
    std::vector<std::string> names;
    for (const auto* item : items) names.push_back(item->cluster);
    const bool clustered = std::any_of(names.begin(), names.end(), [](const auto& n) { return !n.empty(); });
    const auto clusters = clustered ? dense(names, EmptyName::own) : std::vector<std::uint32_t>{};
    metrics.push_back({rule_.suite, group, name, what, bootstrap(statistic, items.size(), rule_.bootstrap, clusters)});
  }

  void lower_is_better() { metrics.back().lower_is_better = true; }

  // Mean over the items for which `value` gives a number.
  void add_mean(const std::string& group, const std::string& name, const std::string& what, const Samples& items,
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

  std::vector<Metric> metrics;

 private:
  const AgreementRule& rule_;
};

std::vector<std::uint32_t> groups_of(const Samples& items) {
  std::vector<std::string> names;
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
  std::copy_if(items.begin(), items.end(), std::back_inserter(out), [&](const auto* item) { return item->group == group; });
  return out;
}

double right(const JudgedSample& sample) { return sample.combined.choice == sample.human ? 1 : 0; }

void add_label_metrics(Table& table, const Samples& items, Protocol protocol) {
  const bool pair = protocol == Protocol::pair;
  table.add_mean("", "accuracy", pair ? "tie is a label like the others" : "equal label", items, right);
  if (pair) {
    const auto unless = [](bool left_out, const JudgedSample& s) { return left_out ? std::nullopt : std::optional(right(s)); };
    table.add_mean("", "accuracy, human ties left out", "a predicted tie is wrong", items,
                   [&](const JudgedSample& s) { return unless(s.human == "tie", s); });
    table.add_mean("", "accuracy, predicted ties left out", "a human tie is wrong", items,
                   [&](const JudgedSample& s) { return unless(s.combined.choice == "tie", s); });
    table.add_mean("", "accuracy, all ties left out", "neither human nor predicted ties", items,
                   [&](const JudgedSample& s) { return unless(s.human == "tie" || s.combined.choice == "tie", s); });
  }
  const auto names = group_names(items);
  if (names.size() > 1) {
    std::vector<double> hits, ones(items.size(), 1.0);
    for (const auto* item : items) hits.push_back(right(*item));
    table.add("", "accuracy, mean of groups", fmt::format("unweighted mean over {} groups", names.size()), items,
              macro_ratio_statistic(hits, ones, groups_of(items)));
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
  table.add("", "Cohen's kappa", "unweighted, margins of both sides", items, tabled([](const Confusion& t) { return cohen_kappa(t); }));
  table.add("", "macro precision", "mean over the labels", items, tabled([=](const Confusion& t) { return macro_scores(t, averaged).precision; }));
  table.add("", "macro recall", "mean over the labels", items, tabled([=](const Confusion& t) { return macro_scores(t, averaged).recall; }));
  table.add("", "macro F1", "mean over the labels", items, tabled([=](const Confusion& t) { return macro_scores(t, averaged).f1; }));
  if (pair) {
    table.add_mean("", "human tie rate", "share of the human labels", items, [](const JudgedSample& s) { return s.human == "tie" ? 1.0 : 0.0; });
    table.add_mean("", "predicted tie rate", "share of the verdicts", items, [](const JudgedSample& s) { return s.combined.choice == "tie" ? 1.0 : 0.0; });
  }
  if (names.size() > 1) {
    for (const auto& name : names) table.add_mean(name, "accuracy", "equal label", in_group(items, name), right);
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

void add_score_metrics(Table& table, const Samples& items) {
  const auto add_all = [&](const std::string& group, const std::string& prefix, const std::string& what, const Samples& of) {
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
  table.add("", "Pearson, mean of groups", mean_of, items, of_group([](auto& x, auto& y) { return Statistic(Pearson(x, y)); }));
  table.add("", "Spearman, mean of groups", mean_of, items, of_group([](auto& x, auto& y) { return Statistic(Spearman(x, y)); }));

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
  table.add("", "system-level Pearson", systems, items, by_group([](auto& x, auto& y) { return pearson(x, y); }));
  table.add("", "system-level Spearman", systems, items, by_group([](auto& x, auto& y) { return spearman(x, y); }));
  table.add("", "system-level Kendall tau-b", systems, items, by_group([](auto& x, auto& y) { return kendall_tau_b(x, y); }));
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
  for (std::size_t place = 0; place < n; ++place) human[static_cast<std::size_t>(sample.human[place] - 'A')] = -static_cast<double>(place);
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

void add_rank_metrics(Table& table, const Samples& items) {
  const auto distance = [](const JudgedSample& s) {
    return std::optional(s.combined.choice == "wrong" ? 1.0 : normalised_levenshtein(s.combined.choice, s.human));
  };
  const std::string what = "edits between the rankings over the longer length; ties by letter";
  table.add_mean("", "normalised Levenshtein", what, items, distance);
  table.lower_is_better();
  table.add_mean("", "exact ranking", "share of equal rankings", items, right);
  table.add_mean("", "best candidate found", "share of samples with the human first place in first place", items,
                 [](const JudgedSample& s) { return std::optional(s.combined.choice[0] == s.human[0] ? 1.0 : 0.0); });
  table.add_mean("", "mean Kendall tau-b", "mean over samples; equal scores are ties", items, ranking_tau);
  const auto names = group_names(items);
  if (names.size() < 2) return;
  for (const auto& name : names) {
    table.add_mean(name, "normalised Levenshtein", what, in_group(items, name), distance);
    table.lower_is_better();
  }
}

// Pairs of votes of one presentation that agree, over all such pairs.
std::optional<double> vote_agreement(const JudgedSample& sample) {
  double same = 0, pairs = 0;
  for (std::size_t i = 0; i < sample.votes.size(); ++i) {
    for (std::size_t j = i + 1; j < sample.votes.size(); ++j) {
      const auto &a = sample.votes[i], &b = sample.votes[j];
      if (!a.verdict.ok() || !b.verdict.ok() || a.presentation != b.presentation) continue;
      ++pairs;
      same += a.verdict.choice == b.verdict.choice;
    }
  }
  return pairs > 0 ? std::optional(same / pairs) : std::nullopt;
}

std::optional<double> vote_variance(const JudgedSample& sample) {
  double n = 0, sum = 0, squares = 0;
  for (const auto& vote : sample.votes) {
    if (!vote.verdict.ok()) continue;
    ++n;
    sum += vote.verdict.value;
    squares += vote.verdict.value * vote.verdict.value;
  }
  return n > 1 ? std::optional(std::max(0.0, (squares - sum * sum / n) / (n - 1))) : std::nullopt;
}

void add_reliability(Table& table, const Samples& items, Protocol protocol) {
  table.add_mean("", "samples without a verdict", "no readable vote", items, [](const JudgedSample& s) { return s.combined.ok() ? 0.0 : 1.0; });
  table.lower_is_better();
  for (const auto status : {VerdictStatus::unreadable, VerdictStatus::truncated, VerdictStatus::failed}) {
    std::vector<double> with, all;
    for (const auto* item : items) {
      all.push_back(static_cast<double>(item->votes.size()));
      with.push_back(static_cast<double>(std::count_if(item->votes.begin(), item->votes.end(),
                                                       [&](const auto& vote) { return vote.verdict.status == status; })));
    }
    table.add("", fmt::format("calls {}", name(status)), "share of all calls", items, ratio_statistic(with, all));
    table.lower_is_better();
  }
  if (protocol == Protocol::score) {
    const auto statistic_of_root = [&](Samples kept, std::vector<double> variances) {
      table.add("", "spread of the votes", "root of the mean variance within a sample", kept,
                [mean = mean_statistic(std::move(variances))](Counts counts) {
                  Figure figure = mean(counts);
                  figure.value = std::sqrt(figure.value);
                  return figure;
                });
    };
    Samples kept;
    std::vector<double> variances;
    for (const auto* item : items) {
      if (const auto variance = vote_variance(*item)) {
        kept.push_back(item);
        variances.push_back(*variance);
      }
    }
    if (!kept.empty()) statistic_of_root(kept, variances);
    return;
  }
  const auto tried = [](const JudgedSample& s) { return s.combined.orders != OrderAgreement::not_tried; };
  const auto any = [&](auto condition) { return std::any_of(items.begin(), items.end(), [&](const auto* i) { return condition(*i); }); };
  if (any([](const JudgedSample& s) { return vote_agreement(s).has_value(); })) {
    table.add_mean("", "self-consistency", "pairs of votes of one order that agree, mean over samples", items, vote_agreement);
  }
  if (!any(tried)) return;
  const auto when_tried = [&](auto value) {
    return [=](const JudgedSample& s) { return tried(s) ? std::optional<double>(value(s.combined.orders)) : std::nullopt; };
  };
  table.add_mean("", "order consistency", "same verdict in both orders", items,
                 when_tried([](OrderAgreement o) { return o == OrderAgreement::consistent ? 1 : 0; }));
  table.add_mean("", "position bias", "first shown wins in both orders minus second shown wins in both orders", items,
                 when_tried([](OrderAgreement o) { return o == OrderAgreement::prefers_first ? 1 : o == OrderAgreement::prefers_second ? -1 : 0; }));
}

std::optional<std::string> majority_of(const std::vector<std::string>& labels, std::size_t without) {
  std::map<std::string, int> counts;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i != without && !labels[i].empty()) ++counts[labels[i]];
  }
  int most = 0, leaders = 0;
  std::string leader;
  for (const auto& [label, count] : counts) {
    if (count > most) {
      most = count;
      leaders = 0;
      leader = label;
    }
    leaders += count == most;
  }
  return leaders == 1 ? std::optional(leader) : std::nullopt;
}

void add_ceiling(Table& table, const Samples& items, Protocol protocol) {
  Samples several;
  std::copy_if(items.begin(), items.end(), std::back_inserter(several), [](const auto* item) {
    return std::count_if(item->annotators.begin(), item->annotators.end(), [](const auto& a) { return !a.empty(); }) > 1;
  });
  if (several.empty()) return;
  // The classes are the words that occur; for scores they are numbers, in order.
  std::map<double, std::string> by_number;
  std::vector<std::string> words;
  for (const auto* item : several) {
    for (const auto& word : item->annotators) {
      if (word.empty()) continue;
      double number = 0;
      const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
      if (protocol == Protocol::score && parsed.ec != std::errc()) {
        throw base::Error(fmt::format("sample '{}': annotator's score '{}' is not a number", item->id, word));
      }
      if (protocol == Protocol::score) by_number.emplace(number, word);
      if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
  }
  std::vector<double> values;
  if (protocol == Protocol::score) {
    words.clear();
    for (const auto& [number, word] : by_number) {
      values.push_back(number);
      words.push_back(word);
    }
  }
  RatingTable ratings{words.size(), std::vector<double>(several.size() * words.size())};
  for (std::size_t i = 0; i < several.size(); ++i) {
    for (const auto& word : several[i]->annotators) {
      const auto place = static_cast<std::size_t>(class_of(words, word));
      if (place < words.size()) ++ratings.cells[i * words.size() + place];
    }
  }
  const Level level = protocol == Protocol::score ? Level::interval : Level::nominal;
  table.add("", "annotators: Krippendorff's alpha", level == Level::interval ? "interval" : "nominal", several,
            [=](Counts counts) { return krippendorff_alpha(ratings, values, level, counts); });
  if (protocol == Protocol::score) return;
  table.add_mean("", "annotators: accuracy against the others", "one annotator against the majority of the others, mean; an undecided majority is left out", several,
                 [](const JudgedSample& s) -> std::optional<double> {
                   double same = 0, compared = 0;
                   for (std::size_t a = 0; a < s.annotators.size(); ++a) {
                     const auto others = majority_of(s.annotators, a);
                     if (s.annotators[a].empty() || !others) continue;
                     ++compared;
                     same += s.annotators[a] == *others;
                   }
                   return compared > 0 ? std::optional(same / compared) : std::nullopt;
                 });
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
  Table table(rule);
  if (std::any_of(all.begin(), all.end(), [&](const auto* sample) { return labelled(*sample, rule.protocol); })) {
    if (rule.protocol == Protocol::score) {
      add_score_metrics(table, items);
    } else if (rule.protocol == Protocol::rank) {
      add_rank_metrics(table, items);
    } else {
      add_label_metrics(table, items, rule.protocol);
    }
    add_ceiling(table, all, rule.protocol);
  }
  add_reliability(table, all, rule.protocol);
  return std::move(table.metrics);
}

std::vector<CurvePoint> vote_curve(std::span<const JudgedSample> samples, const AgreementRule& rule) {
  std::uint32_t most = 0;
  for (const auto& sample : samples) {
    for (const auto& vote : sample.votes) most = std::max(most, vote.vote + 1);
  }
  std::vector<CurvePoint> curve;
  for (std::uint32_t count = 1; count <= most; ++count) {
    std::vector<JudgedSample> fewer;
    for (const auto& sample : samples) {
      if (!labelled(sample, rule.protocol)) continue;
      JudgedSample cut = sample;
      std::erase_if(cut.votes, [&](const auto& vote) { return vote.vote >= count; });
      cut.combined = verdict::combine(cut.votes, rule.protocol, rule.combine);
      if (cut.combined.ok()) fewer.push_back(std::move(cut));
    }
    Samples items;
    for (const auto& sample : fewer) items.push_back(&sample);
    Table table(rule);
    if (rule.protocol == Protocol::score) {
      const auto c = columns(items);
      table.add("", headline_name(rule.protocol), "", items, Pearson(c.human, c.judge));
    } else if (rule.protocol == Protocol::rank) {
      table.add_mean("", headline_name(rule.protocol), "", items,
                     [](const JudgedSample& s) { return std::optional(normalised_levenshtein(s.combined.choice, s.human)); });
    } else {
      table.add_mean("", headline_name(rule.protocol), "", items, right);
    }
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
    const auto column = static_cast<std::size_t>(class_of(table.labels, sample.combined.ok() ? sample.combined.choice : ""));
    if (row < table.labels.size()) ++table.counts[row][column];
  }
  return table;
}

}  // namespace assize::metrics
