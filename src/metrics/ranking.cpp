#include "metrics/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assize::metrics {
namespace {

constexpr int kMaxIterations = 20000;
constexpr double kConverged = 1e-12;  // largest change of a strength

// Whether every system is reached from the first one over wins (or, backwards, over losses).
bool all_reached(const WinTable& table, bool backwards) {
  std::vector<char> seen(table.systems);
  std::vector<std::size_t> open = {0};
  seen[0] = 1;
  while (!open.empty()) {
    const std::size_t i = open.back();
    open.pop_back();
    for (std::size_t j = 0; j < table.systems; ++j) {
      if (seen[j] || (backwards ? table.at(j, i) : table.at(i, j)) <= 0) continue;
      seen[j] = 1;
      open.push_back(j);
    }
  }
  return std::all_of(seen.begin(), seen.end(), [](char s) { return s; });
}

}  // namespace

Strengths bradley_terry(const WinTable& table) {
  const std::size_t n = table.systems;
  Strengths out;
  if (n < 2) {
    out.undefined = "fewer than 2 systems";
    return out;
  }
  if (!all_reached(table, false) || !all_reached(table, true)) {
    out.undefined = "some systems always win or were never compared";
    return out;
  }
  std::vector<double> skill(n, 1.0), next(n), wins(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) wins[i] += i == j ? 0 : table.at(i, j);
  }
  out.values.assign(n, 0.0);
  for (int iteration = 0; iteration < kMaxIterations; ++iteration) {
    double log_mean = 0;
    for (std::size_t i = 0; i < n; ++i) {
      double games = 0;
      for (std::size_t j = 0; j < n; ++j) {
        if (i != j) games += (table.at(i, j) + table.at(j, i)) / (skill[i] + skill[j]);
      }
      next[i] = wins[i] / games;
      log_mean += std::log(next[i]) / static_cast<double>(n);
    }
    double change = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double value = std::log(next[i]) - log_mean;
      change = std::max(change, std::abs(value - out.values[i]));
      out.values[i] = value;
      skill[i] = std::exp(value);
    }
    if (change < kConverged) break;
  }
  return out;
}

bool concordant(int truth, double margin, double threshold) {
  if (std::abs(margin) <= threshold) return truth == 0;
  return margin > 0 ? truth > 0 : truth < 0;
}

TieCalibration calibrate_ties(std::span<const int> truth, std::span<const double> margins) {
  std::vector<std::size_t> order(truth.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return std::abs(margins[a]) < std::abs(margins[b]); });
  TieCalibration best;
  std::int64_t agreeing = 0;  // with the pairs up to here ties, the others not
  for (std::size_t i = 0; i < truth.size(); ++i) agreeing += concordant(truth[i], margins[i], 0);
  best.agreeing = agreeing;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const std::size_t i = order[k];
    const double size = std::abs(margins[i]);
    if (size > 0) agreeing += (truth[i] == 0) - concordant(truth[i], margins[i], 0);
    const bool last_of_size = k + 1 == order.size() || std::abs(margins[order[k + 1]]) > size;
    if (last_of_size && agreeing > best.agreeing) best = {size, agreeing};
  }
  return best;
}

}  // namespace assize::metrics
