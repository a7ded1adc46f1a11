#include "app/run_folder.h"

#include <fmt/format.h>

#include "base/error.h"

namespace assize::app {

namespace fs = std::filesystem;

void require_run_folder(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw base::Error(fmt::format("{}: there is no such run folder", folder.string()));
  if (!fs::exists(folder / "job.yaml")) {
    throw base::Error(fmt::format("{}: is not a run folder (it has no job.yaml); give the 'output' of a job", folder.string()));
  }
}

Plan stored_plan(const fs::path& folder) {
  require_run_folder(folder);
  Plan plan;
  plan.job = job::load_job(folder / "job.yaml", {}, job::JudgePresence::optional);
  plan.suites = load_suites(plan.job);
  return plan;
}

}  // namespace assize::app
