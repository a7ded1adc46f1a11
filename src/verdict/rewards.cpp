#include "verdict/rewards.h"

#include <algorithm>
#include <numeric>

namespace assize::verdict {
namespace {

std::vector<std::uint16_t> ascending(const std::vector<std::uint16_t>& presentation) {
  std::vector<std::uint16_t> sorted = presentation;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

/// How good a candidate (by its place among those shown) is to a vote without numbers: larger is better.
/// rank: minus its place; a letter that is not in the ranking comes last.
double standing(const Verdict& verdict, std::size_t local) {
  const std::string& choice = verdict.choice;
  if (choice == "A" || choice == "A>B") return local == 0 ? 1 : 0;
  if (choice == "B" || choice == "B>A") return local == 1 ? 1 : 0;
  if (choice == "tie" || choice == "A=B=Good" || choice == "A=B=Bad") return 0;
  const auto place = choice.find(static_cast<char>('A' + local));
  return -static_cast<double>(std::min(place, choice.size()));
}

/// The votes that show both candidates, each as a verdict about this pair alone ("A" is `a`).
std::vector<Vote> votes_between(std::span<const Vote> votes, std::size_t a, std::size_t b) {
  std::vector<Vote> between;
  for (const Vote& vote : votes) {
    if (!vote.verdict.ok()) continue;
    const auto shown = ascending(vote.presentation);
    const auto place_a = std::find(shown.begin(), shown.end(), a), place_b = std::find(shown.begin(), shown.end(), b);
    if (place_a == shown.end() || place_b == shown.end()) continue;
    const auto local_a = static_cast<std::size_t>(place_a - shown.begin());
    const auto local_b = static_cast<std::size_t>(place_b - shown.begin());
    const auto& scores = vote.verdict.scores;
    Vote out;
    out.vote = vote.vote;
    const bool a_first = std::find(vote.presentation.begin(), vote.presentation.end(), a) <
                         std::find(vote.presentation.begin(), vote.presentation.end(), b);
    out.presentation = a_first ? std::vector<std::uint16_t>{0, 1} : std::vector<std::uint16_t>{1, 0};
    out.verdict.status = VerdictStatus::ok;
    if (!scores.empty()) out.verdict.scores = {scores.at(local_a), scores.at(local_b)};
    out.verdict.value = scores.empty() ? standing(vote.verdict, local_a) - standing(vote.verdict, local_b)
                                       : scores[local_a] - scores[local_b];
    out.verdict.choice = out.verdict.value > 0 ? "A" : out.verdict.value < 0 ? "B" : "tie";
    between.push_back(std::move(out));
  }
  return between;
}

void mean_scores(std::span<const Vote> votes, Rewards& out) {
  std::vector<double> sums(out.rewards.size());
  std::vector<int> counts(out.rewards.size());
  for (const Vote& vote : votes) {
    if (!vote.verdict.ok() || vote.verdict.scores.empty()) continue;
    const auto shown = ascending(vote.presentation);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      sums.at(shown[i]) += vote.verdict.scores.at(i);
      ++counts[shown[i]];
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (counts[i]) out.rewards[i] = sums[i] / counts[i];
  }
}

void shares_won(std::span<const Vote> votes, Rewards& out) {
  std::vector<double> won(out.rewards.size());
  std::vector<int> comparisons(out.rewards.size());
  for (const Vote& vote : votes) {
    if (!vote.verdict.ok()) continue;
    const auto shown = ascending(vote.presentation);
    for (std::size_t i = 0; i < shown.size(); ++i) {
      for (std::size_t j = 0; j < shown.size(); ++j) {
        if (i == j) continue;
        const double difference = standing(vote.verdict, i) - standing(vote.verdict, j);
        won.at(shown[i]) += difference > 0 ? 1 : difference < 0 ? 0 : 0.5;
        ++comparisons[shown[i]];
      }
    }
  }
  for (std::size_t i = 0; i < won.size(); ++i) {
    if (comparisons[i]) out.rewards[i] = won[i] / comparisons[i];
  }
}

}  // namespace

std::vector<std::uint16_t> local_order(std::span<const std::uint16_t> presentation) {
  std::vector<std::uint16_t> local;
  for (const auto candidate : presentation) {
    local.push_back(static_cast<std::uint16_t>(std::count_if(presentation.begin(), presentation.end(),
                                                             [&](std::uint16_t other) { return other < candidate; })));
  }
  return local;
}

Rewards reward_candidates(std::span<const Vote> votes, int candidates) {
  Rewards out;
  out.rewards.resize(static_cast<std::size_t>(candidates));
  out.ranks.resize(out.rewards.size());
  bool numbers = false;
  for (const Vote& vote : votes) {
    ++(vote.verdict.ok() ? out.votes : out.unreadable);
    numbers = numbers || (vote.verdict.ok() && !vote.verdict.scores.empty());
  }
  numbers ? mean_scores(votes, out) : shares_won(votes, out);
  for (std::size_t i = 0; i < out.rewards.size(); ++i) {
    if (!out.rewards[i]) continue;
    out.ranks[i] = 1 + static_cast<int>(std::count_if(out.rewards.begin(), out.rewards.end(), [&](const auto& other) {
                     return other && *other > *out.rewards[i];
                   }));
    if (out.ranks[i] == 1 && !out.best) out.best = i;
  }
  return out;
}

Preferences preferences_of(const Rewards& rewards, std::span<const Vote> votes, const PreferenceRule& rule) {
  std::vector<std::size_t> order;  // best first
  for (std::size_t i = 0; i < rewards.rewards.size(); ++i) {
    if (rewards.rewards[i]) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return *rewards.rewards[a] > *rewards.rewards[b]; });
  Preferences out;
  const auto consider = [&](std::size_t chosen, std::size_t rejected) {
    Preference pair{chosen, rejected, *rewards.rewards[chosen], *rewards.rewards[rejected], {}, {}};
    if (pair.margin() == 0) {
      ++out.ties;
      return;
    }
    if (pair.margin() < rule.margin) {
      ++out.below_margin;
      return;
    }
    const auto between = votes_between(votes, chosen, rejected);
    if (!between.empty()) {
      const auto same = std::count_if(between.begin(), between.end(), [](const Vote& v) { return v.verdict.choice == "A"; });
      pair.agreement = static_cast<double>(same) / static_cast<double>(between.size());
    }
    pair.orders = compare_orders(between, Protocol::pair, {});
    const bool won_in_both = pair.orders == OrderAgreement::consistent && combine(between, Protocol::pair, {}).choice == "A";
    if (rule.both_orders_must_agree && pair.orders != OrderAgreement::not_tried && !won_in_both) {
      ++out.orders_differ;
      return;
    }
    out.pairs.push_back(pair);
  };
  if (order.size() < 2) return out;
  if (rule.which == PairChoice::best_worst) {
    consider(order.front(), order.back());
    return out;
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = i + 1; j < order.size(); ++j) consider(order[i], order[j]);
  }
  std::stable_sort(out.pairs.begin(), out.pairs.end(),
                   [](const Preference& a, const Preference& b) { return a.margin() > b.margin(); });
  return out;
}

}  // namespace assize::verdict
