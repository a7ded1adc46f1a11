#pragma once

#include <string>
#include <vector>

#include "metrics/figure.h"
#include "report/report.h"

// Plots as inline SVG. Colours and fonts come from the page's style sheet, so that they follow light, dark
// and paper.
namespace assize::report {

/// One row of a dot plot.
struct DotRow {
  std::string label;
  metrics::Estimate estimate;
};

/// Values with their intervals, one row each, over [low, high]; a vertical line at `reference` unless it is
/// NaN.
std::string dot_plot(const std::vector<DotRow>& rows, double low, double high, double reference);

/// A value with its interval as a small bar for a table cell.
std::string interval_bar(const metrics::Estimate& estimate, double low, double high);

/// Agreement against the number of votes, with the band of the intervals.
std::string curve_plot(const std::vector<metrics::CurvePoint>& curve, const std::string& y_name);

/// Mean human score against the judge's score, with the diagonal.
std::string calibration_plot(const std::vector<CalibrationPoint>& points, double low, double high);

/// Pairs of bars: the judge's and people's counts.
std::string distribution_plot(const std::vector<DistributionBar>& bars);

/// A bar of parts, as wide as their counts; CSS classes part-0, part-1, …
std::string stacked_bar(const std::vector<std::int64_t>& parts);

}  // namespace assize::report
