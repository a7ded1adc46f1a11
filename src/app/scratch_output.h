#pragma once

#include <filesystem>

#include "job/job_spec.h"

namespace assize::app {

/// For commands that only look at a job: where its made-up pictures would be written to the output folder, they go to
/// a temporary one, which is removed at the end. Throws Error when it cannot be made.
class ScratchOutput {
 public:
  /// Changes `job.output`.
  explicit ScratchOutput(job::JobSpec& job);
  ~ScratchOutput();
  ScratchOutput(const ScratchOutput&) = delete;
  ScratchOutput& operator=(const ScratchOutput&) = delete;

 private:
  std::filesystem::path folder_;  ///< empty: none was needed
};

}  // namespace assize::app
