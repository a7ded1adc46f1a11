#pragma once

#include <string>

#include "app/judged_table.h"

namespace assize::app {

/// What `assize agree` was asked.
struct AgreeOptions {
  std::string table;
  TableColumns columns;
  bool json = false;          ///< print metrics.json instead of text
  std::string report_folder;  ///< empty: none
  int resamples = 2000;       ///< of the bootstrap
  std::uint64_t seed = 0;
};

/// `assize agree`: agreement of the verdicts in a table with its human labels. Returns the exit code.
int agree(const AgreeOptions& options);

}  // namespace assize::app
