#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace assize::metrics {

/// How often each item is in a sample, as in a bootstrap resample; empty = every item once.
using Counts = std::span<const std::uint32_t>;

/// A figure, or why there is none. Never NaN.
struct Figure {
  double value = 0;
  const char* undefined = nullptr;  ///< a few words; nullptr when the figure is defined

  bool defined() const { return undefined == nullptr; }
};

/// The figure that does not exist, with the reason (a string literal).
inline Figure no_figure(const char* why) { return {0, why}; }

/// A figure with its interval.
struct Estimate {
  double value = 0;
  double low = 0, high = 0;  ///< bias-corrected and accelerated interval; both equal `value` where there is none
  double percentile_low = 0, percentile_high = 0;  ///< percentile interval from the same resamples
  std::int64_t n = 0;        ///< items the figure is about
  int resamples = 0;         ///< behind the interval
  std::string undefined;     ///< why there is no figure; empty when defined
  std::string no_interval;   ///< why there is no interval; empty when there is one

  bool defined() const { return undefined.empty(); }
  bool has_interval() const { return undefined.empty() && no_interval.empty(); }
};

}  // namespace assize::metrics
