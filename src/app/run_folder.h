#pragma once

#include <filesystem>
#include <string>

#include "app/plan.h"

namespace assize::app {

/// Throws Error unless `folder` is a run folder of assize (holds job.yaml and a journal).
void require_run_folder(const std::filesystem::path& folder);

/// The plan of a run from its stored job.yaml; the judge itself need not be there, the suites must.
Plan stored_plan(const std::filesystem::path& folder);

/// The text of manifest.json: what the results of a run depend on. `layout`: one line about the machine.
std::string manifest_text(const Plan& plan, const std::string& identity, const std::string& layout);

}  // namespace assize::app
