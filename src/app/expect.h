#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "job/tree.h"
#include "metrics/metric_table.h"

namespace assize::app {

/// A published figure and how near a reproduction has to come.
struct ExpectedFigure {
  std::string suite;  ///< empty: the only one
  std::string group;  ///< empty: all samples
  std::string metric;
  double value = 0;
  double band = 0;             ///< largest accepted distance; 0 where standard_errors says it
  double standard_errors = 0;  ///< the same in standard errors of the figure found: its 95 % interval's width over 2 x 1.96
  bool decides = true;         ///< false: shown, but neither accepts nor rejects
  job::Place place;
};

/// A figure held against its expectation.
struct CheckedFigure {
  ExpectedFigure expected;
  metrics::Estimate found;
  double band = 0;       ///< accepted distance
  std::string rejected;  ///< why; empty where accepted
  bool present = true;   ///< false: its suite is not in the run

  bool decides() const { return present && expected.decides; }
};

/// Reads a file of expected figures: `source` (where they are published), `band` or `standard_errors` (for every figure
/// that has none of its own), `figures`: a list of maps {suite, group, metric, value, band, standard_errors, decides}.
/// Throws base::Error with file and line of every problem.
std::vector<ExpectedFigure> read_expected(const std::filesystem::path& file);

/// Holds `figures` against the expectations, in their order; those of suites that are not there do not decide. Throws
/// base::Error where none of the suites is there, and for a group or metric that its suite does not have, naming the
/// nearest.
std::vector<CheckedFigure> check_expected(const std::vector<ExpectedFigure>& expected, const std::vector<metrics::Metric>& figures);

/// Whether every figure that decides is accepted.
bool accepted(const std::vector<CheckedFigure>& checked);

/// A table of the figures with "accepted" or "REJECTED: why", and a last line that says which of the two it all is.
std::string expected_text(const std::vector<CheckedFigure>& checked);

}  // namespace assize::app
