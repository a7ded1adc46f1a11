#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "metrics/ranking.h"
#include "metrics/statistics.h"
#include "metrics/table_builder.h"

namespace assize::metrics {
namespace {

/// One prompt with several scored candidates.
struct Prompt {
  const JudgedSample* first = nullptr;  ///< stands for the prompt in the bootstrap
  std::vector<double> human, judge;
};

std::vector<Prompt> prompts_of(const Samples& items) {
  std::map<std::string, Prompt> by_name;
  for (const auto* item : items) {
    if (item->cluster.empty()) continue;
    Prompt& prompt = by_name[item->cluster];
    if (!prompt.first) prompt.first = item;
    prompt.human.push_back(*item->human_score);
    prompt.judge.push_back(item->combined.value);
  }
  std::vector<Prompt> prompts;
  for (auto& [name, prompt] : by_name) {
    if (prompt.human.size() > 1) prompts.push_back(std::move(prompt));
  }
  return prompts;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

// Human score of the candidate that the judge scores highest; of several, their mean: what a random one
// gives.
double chosen(const Prompt& prompt) {
  const double best = *std::max_element(prompt.judge.begin(), prompt.judge.end());
  std::vector<double> human;
  for (std::size_t i = 0; i < prompt.judge.size(); ++i) {
    if (prompt.judge[i] == best) human.push_back(prompt.human[i]);
  }
  return mean(human);
}

// 1 where the candidate that the judge scores highest is one that people score highest; of several, the share.
double chosen_is_best(const Prompt& prompt) {
  const double judged_best = *std::max_element(prompt.judge.begin(), prompt.judge.end());
  const double best = *std::max_element(prompt.human.begin(), prompt.human.end());
  double chosen = 0, right = 0;
  for (std::size_t i = 0; i < prompt.judge.size(); ++i) {
    if (prompt.judge[i] != judged_best) continue;
    ++chosen;
    right += prompt.human[i] == best;
  }
  return right / chosen;
}

/// The differences between all candidates of a prompt.
struct Pairs {
  std::vector<int> truth;       // sign of people's difference
  std::vector<double> margins;  // the judge's difference
};

Pairs pairs_of(const Prompt& prompt) {
  Pairs pairs;
  for (std::size_t i = 0; i < prompt.human.size(); ++i) {
    for (std::size_t j = i + 1; j < prompt.human.size(); ++j) {
      const double d = prompt.human[i] - prompt.human[j];
      pairs.truth.push_back((d > 0) - (d < 0));
      pairs.margins.push_back(prompt.judge[i] - prompt.judge[j]);
    }
  }
  return pairs;
}

}  // namespace

void add_selection(TableBuilder& table, const Samples& items) {
  const auto prompts = prompts_of(items);
  if (prompts.empty()) return;
  Samples firsts;
  for (const auto& prompt : prompts) firsts.push_back(prompt.first);
  const auto add = [&](const char* name, const char* what, const auto& value) {
    std::vector<double> values;
    for (const auto& prompt : prompts) values.push_back(value(prompt));
    table.add("", name, what, firsts, mean_statistic(values));
  };
  add("best of N", "human score of the candidate that the judge scores highest; of several, their mean",
      chosen);
  add("best of N, accuracy", "share of prompts where that candidate is one that people score highest", chosen_is_best);
  add("best of N, chosen at random", "mean human score of the candidates",
      [](const Prompt& p) { return mean(p.human); });
  add("best of N, chosen by people", "highest human score of the candidates",
      [](const Prompt& p) { return *std::max_element(p.human.begin(), p.human.end()); });

  Pairs all;
  std::vector<Pairs> by_prompt;
  for (const auto& prompt : prompts) {
    by_prompt.push_back(pairs_of(prompt));
    const Pairs& pairs = by_prompt.back();
    all.truth.insert(all.truth.end(), pairs.truth.begin(), pairs.truth.end());
    all.margins.insert(all.margins.end(), pairs.margins.begin(), pairs.margins.end());
  }
  const auto add_concordance = [&](const std::string& name, const std::string& what, double threshold) {
    std::vector<double> agreeing, compared;
    for (const auto& pairs : by_prompt) {
      double count = 0;
      for (std::size_t i = 0; i < pairs.truth.size(); ++i)
        count += concordant(pairs.truth[i], pairs.margins[i], threshold);
      agreeing.push_back(count);
      compared.push_back(static_cast<double>(pairs.truth.size()));
    }
    table.add("", name, what, firsts, ratio_statistic(agreeing, compared));
  };
  add_concordance("pairwise concordance",
                  "pairs of candidates of a prompt: better, worse or equal as people say", 0);
  const double threshold = calibrate_ties(all.truth, all.margins).threshold;
  if (threshold > 0) {
    add_concordance(
        "pairwise concordance, ties calibrated",
        fmt::format("differences up to {:.4g} are ties: the best threshold on these samples", threshold),
        threshold);
  }
}

}  // namespace assize::metrics
