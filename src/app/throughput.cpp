#include "app/throughput.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <thread>

#include <fmt/format.h>

#include "app/asked_work.h"
#include "app/device.h"
#include "app/exit_codes.h"
#include "app/identity.h"
#include "app/judge_setup.h"
#include "app/progress_display.h"
#include "app/run_folder.h"
#include "app/signals.h"
#include "app/world_run.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cluster/in_process.h"
#include "results/results_writer.h"
#include "throughput/report.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

/// The coordinator's side of a measurement: folder, journal and report.
class Measuring {
 public:
  /// `who` stands in every line of the log; empty for a process alone.
  Measuring(const Plan& plan, const std::string& who, std::string machine, double start_seconds)
      : plan_(plan), output_(plan.job.output), maker_(plan), start_seconds_(start_seconds) {
    make_run_folder(output_);
    base::open_log(who, (output_ / "log" / "rank-0000.log").string(), plan.job.log_level);
    identity_ = identity_text(plan.job);
    items_ = outstanding_items(plan, [](base::Hash128) { return false; });
    base::write_file_atomically(output_ / "job.yaml", plan.job.resolved_yaml);
    report_.run = fs::absolute(output_).lexically_normal().filename().string();
    report_.judge = plan.job.judge.id;
    report_.version = code_version();
    report_.machine = std::move(machine);
    report_.job_text = plan.job.resolved_yaml;
    count_stop_signals();
  }

  /// What a run of a series measures.
  struct Point {
    std::string series;    ///< "strong", "weak" or empty
    int groups = 1;        ///< that work
    double share = 1;      ///< of all items, the first ones
    bool first = true;
    bool last = true;
  };

  /// Measures one run; `judge_all` is run_in_process or coordinate with the queue's arguments bound. False: stopped
  /// before the end.
  template <class JudgeAll>
  bool measure(const Point& point, const JudgeAll& judge_all) {
    throughput::Measurement run;
    run.series = point.series;
    run.groups = point.groups;
    if (!point.series.empty()) run.name = fmt::format("{} {}", point.series, point.groups);
    const double start_seconds = report_.runs.empty() ? start_seconds_ : base::monotonic_seconds();
    const std::size_t count = std::max<std::size_t>(1, static_cast<std::size_t>(std::llround(point.share * static_cast<double>(items_.size()))));
    const std::span<const OutstandingItem> items = std::span(items_).first(count);
    if (plan_.job.judge.fake.empty()) run.work = throughput::model_work(model::read_config(plan_.job.judge.path.string()));
    std::vector<cluster::PlannedItem> planned;
    for (const auto& item : items) planned.push_back(planned_item(plan_, item));
    const fs::path folder = run.name.empty() ? output_ : output_ / fmt::format("{}-{}", point.series, point.groups);
    fs::create_directories(folder);
    results::Journal journal(folder, identity_);
    ProgressDisplay display(folder, 0);
    cluster::CoordinatorSettings settings;
    settings.queue = queue_settings(plan_.job);
    settings.drain_seconds = 0;
    settings.wait_for_all = true;
    settings.use_groups = point.groups;
    settings.restart = !point.first;
    settings.stay = !point.last;
    settings.stop_signals = stop_signals;
    settings.progress = [&display](const cluster::Progress& progress) { display.update(progress); };
    settings.judged = [&](const results::Judgement&) {
      if (run.first_judgement_seconds == 0) run.first_judgement_seconds = base::monotonic_seconds() - start_seconds;
    };
    const auto make_item = [this](std::uint64_t index) { return maker_.make(items_[index], index); };
    const cluster::RunOutcome outcome = judge_all(planned, make_item, journal, settings);
    display.finish(outcome.progress);
    if (outcome.ending == cluster::Ending::stopped) {
      fmt::print("stopped before the end: nothing was measured; the same command measures from the start\n");
      return false;
    }
    if (outcome.lost_groups > 0) {
      throw base::Error("a worker group was lost, so that nothing was measured; the log says which", base::ErrorKind::failed);
    }
    run.asked = asked_work(plan_, items);
    run.wall_seconds = outcome.progress.last_judgement_seconds - outcome.progress.first_lease_seconds;
    run.failed = outcome.progress.failed;
    run.group.assign(outcome.progress.groups.begin(), outcome.progress.groups.begin() + point.groups);
    report_.runs.push_back(std::move(run));
    return true;
  }

  /// Writes what was measured; returns the exit code.
  int finish() {
    report_.made = base::utc_now();
    results::FileInfo info;
    info.code_version = report_.version;
    info.created = report_.made;
    info.job = plan_.job.resolved_yaml;
    info.identity = identity_;
    info.model_hash = identity_value(identity_, "model");
    info.seed = plan_.job.judging.seed;
    results::ResultsWriter writer(output_ / "results.h5", info);
    for (const auto& row : throughput::rows(report_)) writer.add(row);
    writer.mark_complete();
    writer.finish();
    base::write_file_atomically(output_ / "metrics.json", throughput::metrics_json(report_));
    base::write_file_atomically(output_ / "report.html", throughput::html(report_));
    base::write_file_atomically(output_ / "DONE", "measured\n");
    fmt::print("{}report: {}\n", throughput::summary(report_), (output_ / "report.html").string());
    std::uint64_t failed = 0;
    for (const auto& run : report_.runs) failed += run.failed;
    if (failed > 0) fmt::print("{} calls failed, so that the figures are of less work than was asked\n", failed);
    return 0;
  }

 private:
  const Plan& plan_;
  fs::path output_;
  ItemMaker maker_;
  double start_seconds_;
  std::string identity_;
  std::vector<OutstandingItem> items_;
  throughput::ThroughputReport report_;
};

/// The runs of a job with up to `most` groups: one, or a strong and a weak series that begin with the same run of
/// the fewest groups.
std::vector<Measuring::Point> points(const job::JobSpec& job, int most) {
  if (!job.scaling) return {{"", most, 1, true, true}};
  std::vector<int> groups = *job.scaling;
  if (groups.empty()) {
    for (int n = 1; n < most; n *= 2) groups.push_back(n);
    groups.push_back(most);
  }
  if (groups.back() > most) {
    throw base::Error(fmt::format("'scaling.groups' asks for {} worker groups, but there are {}; start more ranks with mpirun or ask "
                                  "for fewer", groups.back(), most));
  }
  const double share = static_cast<double>(groups.front()) / groups.back();
  std::vector<Measuring::Point> all;
  for (const int n : groups) all.push_back({"strong", n, 1, false, false});
  // With all groups, the weak run is the strong one.
  for (const int n : groups) {
    if (n < groups.back()) all.push_back({"weak", n, share * n / groups.front(), false, false});
  }
  all.front().first = true;
  all.back().last = true;
  return all;
}

/// Groups of a job that runs in this process: as many as its series wants.
int groups_alone(const job::JobSpec& job) {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / job.parallel.tensor_parallel);
  if (!job.scaling) return 1;
  return job.scaling->empty() ? cores : job.scaling->back();
}

int measure_alone(const Plan& plan, double start_seconds) {
  const int most = groups_alone(plan.job);
  const std::string machine = fmt::format("1 process, {} cores, groups: {}, tensor parallel {}", std::thread::hardware_concurrency(),
                                          most, plan.job.parallel.tensor_parallel);
  Measuring measuring(plan, "", machine, start_seconds);
  JudgeSetup setup = measure(plan);
  // The same number of threads for each group of a series.
  setup.ranks_on_node = most * plan.job.parallel.tensor_parallel;
  cluster::InProcessGroups groups;
  groups.tensor_parallel = plan.job.parallel.tensor_parallel;
  groups.make_judge = [&](int, comm::Comm& comm) { return load_judge(plan, setup, comm); };
  groups.worker.about = "this process";
  for (Measuring::Point point : points(plan.job, most)) {
    // Groups of this process live for one run.
    groups.groups = point.groups;
    point.first = point.last = true;
    const bool measured = measuring.measure(point, [&](auto&&... arguments) { return cluster::run_in_process(groups, arguments...); });
    if (!measured) return kStopped;
  }
  return measuring.finish();
}

int measure_in_world(const Plan& plan, comm::World& world, double start_seconds) {
  Measuring measuring(plan, "rank 0, coordinator", world.layout, start_seconds);
  int code = 0;
  for (const Measuring::Point& point : points(plan.job, world.groups)) {
    const bool measured = measuring.measure(point, [&](auto&&... arguments) {
      return cluster::coordinate(*world.link, world.groups, arguments...);
    });
    if (measured) continue;
    code = kStopped;
    break;
  }
  if (code == 0) code = measuring.finish();
  leave_world(world, true, code);
  return code;
}

}  // namespace

int measure_throughput(job::JobSpec job) {
  const double start_seconds = base::monotonic_seconds();
  // A measurement is not continued: half of it would have been made at another time.
  if (is_first_process() && fs::exists(job.output / "job.yaml")) set_aside(job.output);
  if (comm::started_as_one_of_several()) {
    return run_in_world(job, [&](const Plan& plan, comm::World& world) { return measure_in_world(plan, world, start_seconds); });
  }
  settle_device(job);
  return measure_alone(make_plan(job), start_seconds);
}

}  // namespace assize::app
