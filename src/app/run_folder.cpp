#include "app/run_folder.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/identity.h"
#include "base/error.h"
#include "base/hash.h"
#include "results/journal.h"

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

std::string manifest_text(const Plan& plan, const std::string& identity, const std::string& layout) {
  nlohmann::ordered_json json;
  json["filetype"] = "assize run";
  json["version"] = 1;
  json["code_version"] = code_version();
  json["journal_version"] = results::kJournalVersion;
  json["judge"] = plan.job.judge.id;
  json["model_hash"] = identity_value(identity, "model");
  json["seed"] = plan.job.judging.seed;
  json["calls"] = count_calls(plan);
  for (const auto& suite : plan.suites) {
    json["suites"].push_back({{"id", suite.id},
                              {"file", suite.file.string()},
                              {"samples", suite.samples.size()},
                              {"hash", base::to_hex(suite.hash)},
                              {"prompt", suite.prompt.id}});
  }
  json["topology"] = layout;
  json["identity"] = identity;
  return json.dump(1) + "\n";
}

}  // namespace assize::app
