#pragma once

#include <string>
#include <vector>

#include "app/judged_table.h"
#include "metrics/metric_table.h"

namespace assize::app {

/// The verdicts of one judge on one suite, wherever they come from.
struct JudgedSuite {
  std::string id;       ///< "" for a table
  std::string prompt;   ///< name of the prompt set
  std::string profile;  ///< how the texts were read
  metrics::AgreementRule rule;
  std::vector<metrics::JudgedSample> samples;  ///< `combined` holds the verdict; of a run, `votes` is empty
  std::vector<std::string> questions;          ///< one per sample; empty where unknown
  std::vector<std::string> texts;              ///< what the judge wrote, one per sample; empty where unknown
};

/// One judge: a run folder or a table.
struct JudgedSource {
  std::string name;   ///< as given on the command line
  std::string about;  ///< one line: the judge, or the columns
  std::vector<JudgedSuite> suites;
  std::vector<metrics::Metric> figures;  ///< of a run, as its results say; of a table, figures_of() computes them
};

/// Reads a run folder (its results.h5 and metrics.json) or a table. `text` is the table's column of what the judge
/// wrote; may be empty. A run may hold several suites, a table is one. Throws base::Error naming what is missing and
/// the command that makes it.
JudgedSource load_source(const std::string& path, const TableColumns& columns, const std::string& text);

/// The agreement figures of a source: those of the run, or those of the table's verdicts.
std::vector<metrics::Metric> figures_of(const JudgedSource& source, const metrics::BootstrapSettings& bootstrap);

}  // namespace assize::app
