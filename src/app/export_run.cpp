#include <fmt/format.h>

#include "app/assess.h"
#include "app/commands.h"
#include "app/run_folder.h"
#include "base/error.h"
#include "job/reader.h"
#include "results/export_tables.h"

namespace assize::app {

namespace fs = std::filesystem;

int export_run(const std::string& run_folder, const std::vector<std::string>& formats, const std::string& output) {
  bool csv = false, jsonl = false;
  for (const auto& format : formats) {
    if (format != "h5" && format != "csv" && format != "jsonl") {
      const std::string near = job::nearest(format, {"h5", "csv", "jsonl"});
      throw base::Error(fmt::format("--format {}: the formats are h5, csv and jsonl{}", format,
                                    near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
    }
    csv = csv || format == "csv";
    jsonl = jsonl || format == "jsonl";
  }
  const Plan plan = stored_plan(run_folder);
  if (!fs::is_directory(fs::path(run_folder) / "journal")) {
    throw base::Error(fmt::format("{}: is not a run folder (it has no journal); give the 'output' of a job", run_folder));
  }
  const fs::path run = fs::absolute(run_folder).lexically_normal();
  const fs::path folder = output.empty() ? fs::path((run.has_filename() ? run : run.parent_path()).string() + "-export") : fs::path(output);
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) throw base::Error(fmt::format("{}: cannot be made ({}); choose another folder with --output", folder.string(), code.message()));
  if (fs::equivalent(folder, run_folder)) {
    throw base::Error(fmt::format("{}: is the run itself; choose another folder with --output (assize report makes the files of the run)",
                                  folder.string()));
  }
  const Assessment assessment = assess(plan, run_folder, {}, [](double) {}, folder);
  if (csv) results::export_tables(folder / "results.h5", folder, results::TextFormat::csv);
  if (jsonl) results::export_tables(folder / "results.h5", folder, results::TextFormat::jsonl);
  fmt::print("{} of {} calls judged; {} is in {}\n", assessment.judged, assessment.wanted,
             assessment.complete() ? "the whole run" : "what is there", folder.string());
  return 0;
}

}  // namespace assize::app
