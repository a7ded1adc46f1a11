#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "metrics/figure.h"

namespace assize::metrics {

/// A figure of a resample, given how often each item is in it. Called from several threads at once.
using Statistic = std::function<Figure(Counts)>;

/// How intervals are made. The result depends on nothing but these, the items and the clusters.
struct BootstrapSettings {
  int resamples = 2000;  ///< 0: no intervals
  /// Resamples x items are kept below it by fewer resamples, but not fewer than 200; Estimate::resamples says
  /// how many.
  std::int64_t work_limit = 200'000'000;
  double level = 0.95;
  std::uint64_t seed = 0;
  int threads = 0;  ///< 0: as many as there are cores; never changes a bit
};

/// The figure over all items with its bootstrap interval. `clusters`: for each item the number of its cluster
/// (from 0, dense), empty = every item its own; whole clusters are drawn (Field & Welsh 2007). Resamples in
/// which the figure is undefined are left out; above a tenth of them there is no interval, nor where the
/// figure is the same in every resample (all right, all wrong; up to the last digits of sums in another order).
Estimate bootstrap(const Statistic& statistic, std::size_t items, const BootstrapSettings& settings,
                   std::span<const std::uint32_t> clusters = {});

struct Bounds {
  double low = 0, high = 0;
};

/// The bias-corrected and accelerated interval (Efron 1987, "Better Bootstrap Confidence Intervals") from resampled
/// figures (any order), the figure itself and its leave-one-out figures. With no jackknife figures, or equal ones,
/// the acceleration is 0.
Bounds bca_bounds(std::vector<double> resampled, double observed, std::span<const double> jackknife,
                  double level);

/// The percentile interval (Efron 1979): quantiles of the resampled figures (any order).
Bounds percentile_bounds(std::vector<double> resampled, double level);

/// Quantile q of sorted values, linear between order statistics (numpy.quantile's default).
double quantile(std::span<const double> sorted, double q);

/// Distribution function of the standard normal, and its inverse (Wichura 1988, algorithm AS 241).
double normal_cdf(double z);
double normal_quantile(double p);

}  // namespace assize::metrics
