#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "results/rows.h"
#include "throughput/figures.h"

namespace assize::throughput {

/// Everything that the report of a throughput job shows.
struct ThroughputReport {
  std::string run;
  std::string judge;
  std::string version;   ///< of the program
  std::string made;      ///< date and time, as text
  std::string machine;   ///< one line
  std::string job_text;  ///< resolved job
  std::vector<Measurement> runs;
};

/// Rows of /throughput in results.h5: every figure of every run, and the steps by their length.
std::vector<results::ThroughputRow> rows(const ThroughputReport& report);

/// One self-contained page: no network, light and dark.
std::string html(const ThroughputReport& report);
/// The same figures with their definitions, ceilings and step bins.
std::string metrics_json(const ThroughputReport& report);
/// The main figures as a few lines for the terminal.
std::string summary(const ThroughputReport& report);

}  // namespace assize::throughput
