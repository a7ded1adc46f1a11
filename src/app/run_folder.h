#pragma once

#include <filesystem>
#include <string>

#include "app/plan.h"

namespace assize::app {

/// Throws Error unless `folder` is a run folder of assize (holds job.yaml and a journal).
void require_run_folder(const std::filesystem::path& folder);

/// Renames an existing run folder to NAME.old-1, or the next number that is free, and says so.
void set_aside(const std::filesystem::path& output);

/// Makes the folder of a run with its log folder. Throws Error when it cannot be written or holds results that
/// assize cannot go on from.
void make_run_folder(const std::filesystem::path& output);

/// The plan of a run from its stored job.yaml; the judge itself need not be there, the suites must. Throws Error for
/// a throughput job too, which judges nothing.
Plan stored_plan(const std::filesystem::path& folder);

/// The text of manifest.json: what the results of a run depend on. `layout`: one line about the machine.
std::string manifest_text(const Plan& plan, const std::string& identity, const std::string& layout);

}  // namespace assize::app
