#include <fmt/format.h>

#include "app/assess.h"
#include "app/commands.h"
#include "app/run_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "results/journal_scan.h"
#include "results/results_reader.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

void print_metrics(const results::ResultsReader& reader) {
  std::string suite;
  for (const auto& metric : reader.metrics()) {
    if (!metric.group.empty()) continue;
    if (metric.suite != suite) fmt::print("\n{}\n", suite = metric.suite);
    if (metric.value != metric.value) {
      fmt::print("  {:<44} undefined\n", metric.name);
    } else if (metric.low != metric.low) {
      fmt::print("  {:<44} {:>8.4f}                      n {}\n", metric.name, metric.value, metric.n);
    } else {
      fmt::print("  {:<44} {:>8.4f}  [{:>7.4f}, {:>7.4f}]  n {}\n", metric.name, metric.value, metric.low, metric.high, metric.n);
    }
  }
}

/// The figures over all groups of the runs of a throughput job.
void print_throughput(const results::ResultsReader& reader) {
  const auto run = reader.texts("throughput", "run"), phase = reader.texts("throughput", "phase"),
             name = reader.texts("throughput", "name"), unit = reader.texts("throughput", "unit");
  const auto group = reader.numbers("throughput", "group"), value = reader.numbers("throughput", "value");
  for (std::size_t i = 0; i < run.size(); ++i) {
    if (i == 0 || run[i] != run[i - 1]) fmt::print("\n{}\n", run[i].empty() ? "whole run" : run[i]);
    if (group[i] >= 0 || phase[i] != "whole" || name[i].rfind("steps_below", 0) == 0) continue;
    if (value[i] != value[i]) continue;
    // Large numbers in full: powers of ten are hard to compare.
    const std::string number = value[i] >= 1000 ? fmt::format("{:.0f}", value[i]) : fmt::format("{:.4g}", value[i]);
    fmt::print("  {:<36} {:>12} {}\n", name[i], number, unit[i]);
  }
}

}  // namespace

int show(const std::string& run_folder, bool digest) {
  const fs::path folder = run_folder;
  require_run_folder(folder);
  const fs::path file = folder / "results.h5";
  if (digest) {
    if (!fs::exists(file)) {
      throw base::Error(fmt::format("{}: has no results.h5 yet; assize report {} makes it", run_folder, run_folder));
    }
    fmt::print("{}\n", base::to_hex(results::ResultsReader(file).digest()));
    return 0;
  }
  if (job::load_job(folder / "job.yaml", {}, job::JudgePresence::optional).kind == job::Kind::throughput) {
    fmt::print("run        {}\nstate      {}\n", run_folder,
               fs::exists(file) ? "measured" : "not measured to the end: run the same command again, it begins anew");
    if (fs::exists(file)) print_throughput(results::ResultsReader(file));
    return 0;
  }
  std::uint64_t truncated = 0, failed = 0, output_tokens = 0;
  const results::JournalSummary summary = results::scan_journal(folder, [&](results::Judgement&& judgement) {
    truncated += judgement.status == results::Status::truncated;
    failed += judgement.status == results::Status::failed;
    output_tokens += judgement.token_ids.size();
  });
  const bool done = fs::exists(folder / "DONE");
  fmt::print("run        {}\nstate      {}\n", run_folder, done ? "complete" : "unfinished: run the same command again to go on");
  fmt::print("judgements {} ({} truncated, {} failed), {} output tokens\n", summary.judgements, truncated, failed, output_tokens);
  fmt::print("journal    {} bytes, {} {}", summary.bytes, summary.epoch, summary.epoch == 1 ? "start" : "starts");
  if (summary.duplicates) fmt::print(", {} duplicates dropped", summary.duplicates);
  if (summary.torn_bytes) fmt::print(", {} bytes of an unfinished record", summary.torn_bytes);
  if (summary.damaged_bytes) fmt::print(", {} damaged bytes: see assize verify {}", summary.damaged_bytes, run_folder);
  fmt::print("\n");
  for (const std::string_view key : {"judge", "model", "reading"}) {
    const std::string line_key(key);
    const auto at = summary.identity.find(line_key + ": ");
    if (at == std::string::npos) continue;
    fmt::print("{:<10} {}\n", key, summary.identity.substr(at + key.size() + 2, summary.identity.find('\n', at) - at - key.size() - 2));
  }
  if (fs::exists(file)) {
    print_metrics(results::ResultsReader(file));
  } else {
    fmt::print("no results yet: assize report {} makes them from what is there\n", run_folder);
  }
  return 0;
}

int report(const std::string& run_folder) {
  const Plan plan = stored_plan(run_folder);
  const Assessment assessment = assess(plan, run_folder, {}, [](double) {});
  fmt::print("{} of {} calls judged; {}: {}\n", assessment.judged, assessment.wanted, assessment.product,
             assessment.look_at.string());
  return 0;
}

}  // namespace assize::app
