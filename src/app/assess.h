#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "app/plan.h"
#include "results/journal_index.h"
#include "results/rows.h"

namespace assize::app {

/// What the machine was, for the report; not part of any result.
struct RunNotes {
  std::string machine;      ///< one line
  double wall_seconds = 0;  ///< of the last start
  int groups = 0;
};

/// What an assessment found.
struct Assessment {
  std::uint64_t wanted = 0;  ///< calls of the job; with adaptive voting those that are needed
  std::uint64_t spared = 0;  ///< calls that adaptive voting does without
  std::uint64_t judged = 0;
  std::uint64_t failed = 0;
  std::string product = "report";  ///< what was made: "report" or "labels"
  std::filesystem::path look_at;   ///< the file to open first
  bool complete() const { return judged == wanted; }
};

/// "120 of 120 calls judged, 4 failed; report: PATH".
std::string summary(const Assessment& assessment);

/// Reads the journal of `run_folder` and writes from it results.h5, metrics.json, report.html, report.md and
/// metrics.csv: verdicts, agreement and report are pure functions of the stored texts, the suites and the job.
/// `kind: label`: what write_labels says instead.
/// `progress` is called with a share from 0 to 1 now and then. The files go to `output`, by default the run folder;
/// with another one the run folder is only read, also beside a process that judges.
Assessment assess(const Plan& plan, const std::filesystem::path& run_folder, const RunNotes& notes,
                  const std::function<void(double)>& progress, const std::filesystem::path& output = {});

}  // namespace assize::app
