#pragma once

#include <filesystem>
#include <functional>

#include "app/assess.h"
#include "app/plan.h"

namespace assize::app {

/// `kind: label`: reads the journal of `run_folder` and writes from it, into the folder `target`, results.h5, labels.jsonl (every row of the
/// data in its order, with rewards and ranks) and pairs.jsonl (preferences under TRL's column names). Pure functions
/// of the stored texts, the data and the job.
Assessment write_labels(const Plan& plan, const std::filesystem::path& run_folder, const std::filesystem::path& target,
                        const std::function<void(double)>& progress);

}  // namespace assize::app
