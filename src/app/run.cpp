#include <deque>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "app/adaptive_votes.h"
#include "app/assess.h"
#include "app/commands.h"
#include "app/device.h"
#include "app/exit_codes.h"
#include "app/faults.h"
#include "app/identity.h"
#include "app/judge_setup.h"
#include "app/judgement_reader.h"
#include "app/plan.h"
#include "app/progress_display.h"
#include "app/run_folder.h"
#include "app/signals.h"
#include "app/throughput.h"
#include "app/world_run.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cluster/coordinator.h"
#include "cluster/in_process.h"
#include "comm/world.h"
#include "results/journal.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

/// What each judged call asked: the journal's side of the comparison with the plan. 24 bytes a call.
class AskedHashes {
 public:
  void add(base::Hash128 call, base::Hash128 asked) { entries_.push_back({call, asked.low}); }
  void sort() { std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.call < b.call; }); }
  bool empty() const { return entries_.empty(); }
  /// True if `call` was judged and asked something else than `asked`, which is only computed where it was judged.
  template <class Asked>
  bool differs(base::Hash128 call, const Asked& asked) const {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), call,
                                     [](const Entry& entry, const base::Hash128& wanted) { return entry.call < wanted; });
    return at != entries_.end() && at->call == call && at->asked != asked().low;
  }

 private:
  struct Entry {
    base::Hash128 call;
    std::uint64_t asked;  ///< low half
  };
  std::deque<Entry> entries_;  // a vector that grows would need twice as much for a moment
};

/// The run as the coordinator sees it: folder, journal, what is outstanding.
class CoordinatorRun {
 public:
  /// `who` stands in every line of the log; empty for a process alone.
  CoordinatorRun(const Plan& plan, const RetryChoice& retry, const std::string& who, const std::string& layout)
      : plan_(plan),
        output_(plan.job.output),
        maker_(plan, [this](base::Hash128 call) { return journal_->attempt(call); }),
        stop_rule_(plan, plan.job.limits.stop_above) {
    make_run_folder(output_);
    base::open_log(who, (output_ / "log" / "rank-0000.log").string(), plan.job.log_level);
    const std::string identity = identity_text(plan.job);
    if (plan.job.judging.adaptive && retry.any()) {
      throw base::Error("--retry does not go with adaptive voting: judge with a fixed number of votes, or anew with --fresh");
    }
    if (plan.job.judging.adaptive) adaptive_.emplace(plan);
    std::optional<AskedHashes> asked(std::in_place);
    RetryList again(plan, retry);
    journal_.emplace(output_, identity, results::JournalOptions{}, [&](results::Judgement&& judgement) {
      const base::Hash128 call = base::digest(judgement.key);
      asked->add(call, judgement.asked);
      again.see(judgement, call);
      if (adaptive_) adaptive_->take(judgement);
    });
    asked->sort();
    refuse_changed_questions(*asked);
    asked.reset();
    std::error_code code;
    fs::remove(output_ / "DONE", code);
    if (const std::uint64_t longer = journal_->longer(); longer > 0) {
      base::log(base::LogLevel::info, fmt::format("max_new_tokens is larger now: {} calls that had hit the old limit are judged again", longer));
    }
    if (retry.any()) {
      base::log(base::LogLevel::info, fmt::format("--retry: {} calls are judged again", again.retract_from(*journal_)));
    }
    planned_ = add_items(adaptive_ ? adaptive_->next()
                                   : outstanding_items(plan, [this](base::Hash128 call) { return journal_->contains(call); }));
    for (const auto& item : items_) outstanding_ += item.calls.size();
    wanted_ = adaptive_ ? adaptive_->there() + outstanding_ : count_calls(plan);
    base::write_file_atomically(output_ / "job.yaml", plan.job.resolved_yaml);
    base::write_file_atomically(output_ / "manifest.json", manifest_text(plan, identity, layout));
    if (journal_->from_spools() > 0) {
      base::log(base::LogLevel::info, fmt::format("{} judgements of the last start come from its groups' spools", journal_->from_spools()));
    }
    if (wanted_ > outstanding_) {
      base::log(base::LogLevel::info, fmt::format("going on: {} of {} calls are judged already", wanted_ - outstanding_, wanted_));
    }
  }

  /// What the worker groups are to this process.
  enum class Groups { threads, processes };

  bool anything_to_do() const { return outstanding_ > 0; }

  /// Judges through `judge_all`, which is run_in_process or coordinate with the queue's arguments bound.
  template <class JudgeAll>
  cluster::RunOutcome judge(const JudgeAll& judge_all, Groups groups) {
    count_stop_signals();
    ProgressDisplay display(output_, wanted_ - outstanding_);
    cluster::CoordinatorSettings settings;
    settings.queue = queue_settings(plan_.job);
    settings.spools = groups == Groups::processes;
    settings.left_out = groups_to_leave_out(output_);
    settings.fault = [this](const std::string& group, const std::string& why) { record_fault(output_, group, why); };
    settings.drain_seconds = plan_.job.limits.drain_seconds;
    settings.stop_signals = [this] { return std::max(stop_signals(), stop_rule_.broken() ? 1 : 0); };
    settings.judged = [this](const results::Judgement& judgement) {
      stop_rule_.see(judgement);
      if (adaptive_) adaptive_->take(judgement);
    };
    settings.progress = [&display](const cluster::Progress& progress) { display.update(progress); };
    if (adaptive_) {
      settings.more = [this] { return add_items(adaptive_->next()); };
    }
    const auto make_item = [this](std::uint64_t index) { return maker_.make(items_[index], index); };
    const double start = base::monotonic_seconds();
    const cluster::RunOutcome outcome = judge_all(planned_, make_item, *journal_, settings);
    journal_->sync();
    seconds_ = base::monotonic_seconds() - start;
    display.finish(outcome.progress);
    return outcome;
  }

  /// Results and report; returns the exit code.
  int finish(bool stopped, int groups, const std::string& machine) {
    journal_->end();
    items_ = {};
    planned_ = {};
    const bool slow = wanted_ > 20000;
    const Assessment assessment = assess(plan_, output_, {machine, seconds_, groups}, [slow](double share) {
      if (slow) base::log(base::LogLevel::info, fmt::format("results and report: {:.0f} %", 100 * share));
    });
    if (assessment.complete()) {
      base::write_file_atomically(output_ / "DONE", fmt::format("{} calls\n", assessment.judged));
    }
    fmt::print("{}\n", summary(assessment));
    if (plan_.job.judging.adaptive) {
      fmt::print("adaptive voting spared {} of {} calls\n", assessment.spared, assessment.spared + assessment.wanted);
    }
    if (stopped && !assessment.complete() && stop_rule_.broken()) {
      fmt::print("stopped: {}; look at the report, then raise that limit or put the judge, the prompt or max_new_tokens right\n",
                 stop_rule_.reason());
      return kAboveLimit;
    }
    if (stopped && !assessment.complete()) {
      fmt::print("stopped before the end: run the same command to go on\n");
      return kStopped;
    }
    if (static_cast<double>(assessment.failed) > plan_.job.limits.failure_rate * static_cast<double>(assessment.wanted)) {
      fmt::print("more calls failed than limits.failure_rate = {} allows; assize show {} and the report say why\n",
                 plan_.job.limits.failure_rate, output_.string());
      return kAboveLimit;
    }
    return 0;
  }

 private:
  /// Takes items on; returns them as the queue wants them.
  std::vector<cluster::PlannedItem> add_items(std::vector<OutstandingItem> items) {
    std::vector<cluster::PlannedItem> planned;
    for (OutstandingItem& item : items) {
      planned.push_back(planned_item(plan_, item));
      items_.push_back(std::move(item));
    }
    return planned;
  }

  /// A call that is judged already must ask what the plan asks now.
  void refuse_changed_questions(const AskedHashes& asked) {
    if (asked.empty()) return;
    for (const auto& suite : plan_.suites) {
      for (const auto& sample : suite.samples) {
        base::CallKey last;
        base::Hash128 now;
        for (const base::CallKey& key : call_keys(plan_, suite, sample)) {
          const auto asked_now = [&] {
            if (last.presentation != key.presentation || last.criterion != key.criterion) {
              now = maker_.prompt(suite, sample, key).asked;
              last = key;
            }
            return now;
          };
          if (!asked.differs(base::digest(key), asked_now)) continue;
          throw base::Error(fmt::format("{}: sample '{}' of suite '{}' was judged with another text, picture or prompt; undo the "
                                        "change, start beside it with --set output={}-2, or anew with --fresh, which sets this run aside",
                                        output_.string(), sample.id, suite.id, output_.string()));
        }
      }
    }
  }

  const Plan& plan_;
  fs::path output_;
  ItemMaker maker_;
  StopRule stop_rule_;
  std::optional<AdaptiveVotes> adaptive_;
  std::optional<results::Journal> journal_;
  std::vector<OutstandingItem> items_;
  std::vector<cluster::PlannedItem> planned_;
  std::uint64_t outstanding_ = 0;
  std::uint64_t wanted_ = 0;
  double seconds_ = 0;
};

int run_alone(const Plan& plan, const RetryChoice& retry) {
  const std::string machine = fmt::format("1 process, {} cores, tensor parallel {}", std::thread::hardware_concurrency(),
                                          plan.job.parallel.tensor_parallel);
  CoordinatorRun run(plan, retry, "", machine);
  if (!run.anything_to_do()) return run.finish(false, 0, machine);
  JudgeSetup setup = measure(plan);
  setup.ranks_on_node = plan.job.parallel.tensor_parallel;
  cluster::InProcessGroups groups;
  groups.tensor_parallel = plan.job.parallel.tensor_parallel;
  groups.make_judge = [&](int, comm::Comm& comm) {
    JudgeSetup own = setup;
    own.worker_on_node = comm.rank();
    return load_judge(plan, own, comm);
  };
  groups.worker.about = machine;
  const cluster::RunOutcome outcome = run.judge([&](auto&&... arguments) {
    return cluster::run_in_process(groups, arguments...);
  }, CoordinatorRun::Groups::threads);
  return run.finish(outcome.ending == cluster::Ending::stopped, 1, machine);
}

int run_coordinator(const Plan& plan, const RetryChoice& retry, comm::World& world) {
  CoordinatorRun run(plan, retry, "rank 0, coordinator", world.layout);
  base::log(base::LogLevel::info, world.layout);
  const cluster::RunOutcome outcome = run.judge([&](auto&&... arguments) {
    return cluster::coordinate(*world.link, world.groups, arguments...);
  }, CoordinatorRun::Groups::processes);
  const int code = run.finish(outcome.ending == cluster::Ending::stopped, world.groups, world.layout);
  leave_world(world, outcome.lost_groups == 0, code);
  return code;
}

}  // namespace

int run(const std::string& job_file, const std::vector<std::string>& settings, bool fresh, const std::vector<std::string>& retry_words) {
  job::JobSpec job = job::load_job(job_file, settings);
  const RetryChoice retry = retry_choice(retry_words, job);
  if (fresh && is_first_process()) set_aside(job.output);
  if (job.kind == job::Kind::throughput) {
    if (retry.any()) throw base::Error("--retry does not go with 'kind: throughput': a measurement is made anew each time");
    return measure_throughput(job);
  }
  if (comm::started_as_one_of_several()) {
    return run_in_world(job, [&](const Plan& plan, comm::World& world) { return run_coordinator(plan, retry, world); });
  }
  settle_device(job);
  return run_alone(make_plan(job), retry);
}

}  // namespace assize::app
