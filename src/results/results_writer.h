#pragma once

#include <filesystem>
#include <memory>

#include "results/rows.h"

namespace assize::results {

/// Writes results.h5: rows go in one at a time, in their final order (by key, never by arrival), and a bounded
/// buffer goes to a temporary file; `finish` puts the file in place. A reader sees the old file or the new one.
class ResultsWriter {
 public:
  /// Throws Error when the temporary file beside `path` cannot be made.
  ResultsWriter(const std::filesystem::path& path, const FileInfo& info);
  ~ResultsWriter();  ///< without `finish`: removes the temporary file

  void add(const SampleRow& row);
  void add(const CandidateRow& row);
  void add(const PairRow& row);
  void add(const JudgementRow& row);
  void add(const MetricRow& row);
  void add(const ThroughputRow& row);

  /// The file will say that every call of the job has a judgement.
  void mark_complete();

  /// Rows of /samples so far: the next sample's row number.
  std::int64_t samples() const;
  /// Flushes, syncs and renames. Throws Error (kind failed) with the path and the reason.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assize::results
