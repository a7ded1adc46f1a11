#include "app/run_folder.h"

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/identity.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "results/journal.h"

namespace assize::app {

namespace fs = std::filesystem;

void require_run_folder(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw base::Error(fmt::format("{}: there is no such run folder", folder.string()));
  if (!fs::exists(folder / "job.yaml")) {
    throw base::Error(fmt::format("{}: is not a run folder (it has no job.yaml); give the 'output' of a job", folder.string()));
  }
}

void set_aside(const fs::path& output) {
  if (!fs::exists(output)) return;
  for (int i = 1;; ++i) {
    const fs::path aside = output.string() + fmt::format(".old-{}", i);
    if (fs::exists(aside)) continue;
    fs::rename(output, aside);
    base::log(base::LogLevel::info, fmt::format("the earlier run was set aside as {}", aside.string()));
    return;
  }
}

void make_run_folder(const fs::path& output) {
  std::error_code code;
  fs::create_directories(output / "log", code);
  if (code || ::access(output.c_str(), W_OK) != 0) {
    throw base::Error(fmt::format("{}: the output folder cannot be written ({}); choose another with --set output=FOLDER",
                                  output.string(), code ? code.message() : "no permission"));
  }
  if (!fs::exists(output / "job.yaml") && fs::exists(output / "results.h5")) {
    throw base::Error(fmt::format("{}: holds a results.h5 but no job.yaml, so it is not a run of assize that can go on; "
                                  "choose another with --set output=FOLDER", output.string()));
  }
}

Plan stored_plan(const fs::path& folder) {
  require_run_folder(folder);
  Plan plan;
  plan.job = job::load_job(folder / "job.yaml", {}, job::JudgePresence::optional);
  if (plan.job.kind == job::Kind::throughput) {
    throw base::Error(fmt::format("{}: is a measurement, which holds no verdicts; its figures are in {}", folder.string(),
                                  (folder / "report.html").string()));
  }
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
