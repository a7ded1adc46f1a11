#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/figure.h"

namespace assize::metrics {

/// Pearson's r = cov(x, y) / (sd(x) sd(y)) (Pearson 1895). Prepared once, then evaluated for many resamples
/// in one pass over the items each. Undefined for fewer than 2 items and for a constant column. Equals
/// scipy.stats.pearsonr. x and y have equal lengths and finite values.
class Pearson {
 public:
  Pearson(std::span<const double> x, std::span<const double> y);
  Figure operator()(Counts counts = {}) const;

 private:
  std::vector<double> x_, y_;  // centred, in units of their standard deviation
  const char* undefined_ = nullptr;
};

/// Spearman's rho: Pearson's r of the ranks, equal values share the mean of their ranks (Spearman 1904).
/// Sorted once; a resample costs one pass over each column. Undefined as Pearson. Equals
/// scipy.stats.spearmanr.
class Spearman {
 public:
  Spearman(std::span<const double> x, std::span<const double> y);
  Figure operator()(Counts counts = {}) const;

 private:
  struct Column {
    std::vector<std::uint32_t> order;   // items by value
    std::vector<std::uint32_t> starts;  // where a new value begins in `order`; ends with the number of items
  };
  static Column sorted(std::span<const double> values);
  Column x_, y_;
};

/// Kendall's tau-b = (C - D) / sqrt((P - Tx)(P - Ty)), C, D concordant and discordant pairs, P all pairs, Tx,
/// Ty pairs tied in x, in y (Kendall 1945). O(n log n). Undefined as Pearson. Equals scipy.stats.kendalltau.
class Kendall {
 public:
  Kendall(std::span<const double> x, std::span<const double> y);
  Figure operator()(Counts counts = {}) const;

 private:
  std::vector<std::uint32_t> order_;            // items by x, then y
  std::vector<std::uint32_t> x_rank_, y_rank_;  // dense ranks, by item
  std::uint32_t y_ranks_ = 0;
};

Figure pearson(std::span<const double> x, std::span<const double> y);
Figure spearman(std::span<const double> x, std::span<const double> y);
Figure kendall_tau_b(std::span<const double> x, std::span<const double> y);

/// Mean of (x - y)^2. Undefined for no items.
Figure mean_squared_error(std::span<const double> x, std::span<const double> y, Counts counts = {});

/// Ranks from 1, equal values share the mean of their ranks (scipy.stats.rankdata, "average").
std::vector<double> average_ranks(std::span<const double> values);

}  // namespace assize::metrics
