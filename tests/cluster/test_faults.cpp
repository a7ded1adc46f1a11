// Groups that hampered earlier launches, and what leaders keep in case the coordinator dies.
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <thread>

#include "base/broken.h"
#include "base/error.h"
#include "cluster/fake_judge.h"
#include "cluster/in_process.h"
#include "cluster/worker.h"
#include "results/journal.h"
#include "results/spool.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "tests/cluster/made_up_run.h"
#include "tests/cluster/simulated_groups.h"

using namespace assize;
using namespace assize::cluster;
using support::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

constexpr const char* kIdentity = "fake: 1\n";

FakeTable answers() {
  FakeTable table;
  table.otherwise.text = "{sample} {presentation} {vote} <answer>{random:1:10}</answer>";
  return table;
}

results::JournalOptions quick() {
  results::JournalOptions options;
  options.lock_retry_seconds = 0;
  options.sync = [](int) { return 0; };
  return options;
}

WorkItem make_item(std::uint64_t id) { return support::item_number(id, 2); }

std::map<base::Hash128, std::string> texts(const fs::path& run) {
  std::map<base::Hash128, std::string> rows;
  results::scan_journal(run, [&](results::Judgement&& j) { rows[base::digest(j.key)] = j.text; });
  return rows;
}

}  // namespace

TEST_CASE("leaders spool every judgement; a journal that never got them has them after the next start") {
  TemporaryFolder run;
  {
    results::Journal journal(run.path(), kIdentity, quick());
    CoordinatorSettings settings;
    settings.spools = true;
    InProcessGroups setup;
    setup.groups = 2;
    setup.make_judge = [](int, comm::Comm&) { return std::make_unique<FakeJudge>(answers()); };
    CHECK(run_in_process(setup, support::plan_of(30), make_item, journal, settings).ending == Ending::complete);
  }
  const auto expected = texts(run.path());
  CHECK(expected.size() == 120);
  CHECK(results::list_spools(run.path()).size() == 2);
  fs::remove_all(run.path() / "journal");
  { results::Journal journal(run.path(), kIdentity, quick()); }
  CHECK(texts(run.path()) == expected);
}

TEST_CASE("a spool that cannot be written costs nothing but itself") {
  TemporaryFolder run;
  run.write("spool", "a file where the folder should be");
  results::Journal journal(run.path(), kIdentity, quick());
  CoordinatorSettings settings;
  settings.spools = true;
  InProcessGroups setup;
  setup.make_judge = [](int, comm::Comm&) { return std::make_unique<FakeJudge>(answers()); };
  CHECK(run_in_process(setup, support::plan_of(10), make_item, journal, settings).ending == Ending::complete);
  CHECK(texts(run.path()).size() == 40);
}

TEST_CASE("a group that is left out gets no work while another is there") {
  TemporaryFolder run;
  results::Journal journal(run.path(), kIdentity, quick());
  auto [link, leaders] = comm::make_in_process_star(2);
  std::vector<std::thread> workers;
  for (int group = 0; group < 2; ++group) {
    workers.emplace_back([&leader = *leaders[static_cast<std::size_t>(group)], group] {
      const auto alone = comm::make_alone();
      FakeJudge judge(answers());
      WorkerSettings settings;
      settings.about = group == 0 ? "n1, group 0" : "n2, group 1";
      run_worker(*alone, &leader, judge, settings);
    });
  }
  CoordinatorSettings settings;
  settings.left_out = {"n1, group 0"};
  std::map<int, int> by_group;
  settings.judged = [&](const results::Judgement& j) { ++by_group[j.group]; };
  const RunOutcome outcome = coordinate(*link, 2, support::plan_of(20), make_item, journal, settings);
  for (std::thread& worker : workers) worker.join();
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.lost_groups == 0);
  CHECK(by_group == std::map<int, int>{{1, 80}});
}

TEST_CASE("when every group would be left out they all work") {
  TemporaryFolder run;
  results::Journal journal(run.path(), kIdentity, quick());
  support::SimulatedGroups groups(2, answers());
  CoordinatorSettings settings;
  settings.clock = [&] { return groups.seconds(); };
  settings.left_out = {"simulated"};
  CHECK(coordinate(groups, 2, support::plan_of(20), make_item, journal, settings).ending == Ending::complete);
  CHECK(texts(run.path()).size() == 80);
}

TEST_CASE("lost groups and fatal errors are reported with who and why; a wrong job is nobody's fault") {
  TemporaryFolder run;
  results::Journal journal(run.path(), kIdentity, quick());
  std::vector<std::string> faults;
  CoordinatorSettings settings;
  settings.fault = [&](const std::string& about, const std::string& why) { faults.push_back(about + ": " + why); };
  support::SimulatedGroups groups(2, answers());
  groups.freeze(1);
  settings.clock = [&] { return groups.seconds(); };
  settings.queue.lease_seconds = 20;
  coordinate(groups, 2, support::plan_of(20), make_item, journal, settings);
  CHECK(faults == std::vector<std::string>{"simulated: gives no sign of life"});

  const auto fatal = [&](base::ErrorKind kind) {
    auto [link, leaders] = comm::make_in_process_star(1);
    leaders[0]->send(0, encode(Hello{4, "n3, group 0"}));
    leaders[0]->send(0, encode(Fatal{"sticky device error", kind}));
    faults.clear();
    TemporaryFolder other;
    results::Journal fresh(other.path(), kIdentity, quick());
    CoordinatorSettings plain;
    plain.fault = settings.fault;
    CHECK_THROWS_AS(coordinate(*link, 1, support::plan_of(3), make_item, fresh, plain), base::Error);
  };
  fatal(base::ErrorKind::failed);
  CHECK(faults == std::vector<std::string>{"n3, group 0: sticky device error"});
  fatal(base::ErrorKind::usage);
  CHECK(faults.empty());
}

TEST_CASE("a group whose device is lost is taken out, and the others finish its calls") {
  TemporaryFolder run;
  results::Journal journal(run.path(), kIdentity, quick());
  auto [link, leaders] = comm::make_in_process_star(2);
  leaders[1]->send(0, encode(Hello{4, "n3, group 1"}));
  leaders[1]->send(0, encode(Fatal{"the device is lost", base::ErrorKind::failed}));
  std::thread other([&leader = *leaders[0]] {
    FakeJudge judge(answers());
    const auto alone = comm::make_alone();
    run_worker(*alone, &leader, judge, {});
  });
  std::vector<std::string> faults;
  CoordinatorSettings settings;
  settings.fault = [&](const std::string& about, const std::string& why) { faults.push_back(about + ": " + why); };
  const RunOutcome outcome = coordinate(*link, 2, support::plan_of(20), make_item, journal, settings);
  other.join();
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.lost_groups == 1);
  CHECK(faults == std::vector<std::string>{"n3, group 1: cannot go on: the device is lost"});
  CHECK(texts(run.path()).size() == 80);
}

TEST_CASE("a leader whose device is lost says so, and stays until the others are done") {
  struct LostDevice final : Judge {
    void submit(const WorkItem&) override {}
    bool step(std::vector<results::Judgement>&) override { throw base::Broken("the device is lost"); }
    void cancel(const base::Hash128&) override {}
    void cancel_all() override {}
    std::size_t unfinished() const override { return 1; }
    engine::EngineCounters counters() const override { return {}; }
    std::uint32_t slots() const override { return 4; }
  };
  auto [link, leaders] = comm::make_in_process_star(1);
  bool left_well = false;
  std::thread leader([&left_well, &own = *leaders[0]] {
    try {
      LostDevice judge;
      const auto alone = comm::make_alone();
      run_worker(*alone, &own, judge, {});
      left_well = true;
    } catch (const std::exception&) {
    }
  });
  const auto next = [&coordinator = *link] {
    while (true) {
      if (auto message = coordinator.poll()) return decode(message->bytes);
      std::this_thread::yield();
    }
  };
  link->send(0, encode(Lease{support::item_number(0)}));
  CHECK(std::holds_alternative<Hello>(next()));
  const Message fatal = next();
  REQUIRE(std::holds_alternative<Fatal>(fatal));
  CHECK(std::get<Fatal>(fatal).message == "the device is lost");
  CHECK(std::get<Fatal>(fatal).kind == base::ErrorKind::failed);
  link->send(0, encode(Lease{support::item_number(1)}));  // on its way when the group was taken out
  link->send(0, encode(Shutdown{}));
  CHECK(std::holds_alternative<Bye>(next()));
  leader.join();
  CHECK(left_well);
}

TEST_CASE("a group of two that loses a device is taken out whole, whichever rank lost it, and the others finish its calls") {
  static constexpr int kNever = 99;
  // The step in which the ranks of group 0 find out: whoever has lost its device, the other by the exchange that fails.
  struct Case {
    int leader, follower;
  };
  const auto [leader, follower] = GENERATE(Case{2, 2}, Case{2, kNever}, Case{3, 2}, Case{kNever, kNever});
  std::atomic<bool> found_out = leader == kNever;

  /// A fake judge whose steps go through `step_of`.
  struct Watched final : Judge {
    using StepOf = std::function<bool(FakeJudge&, std::vector<results::Judgement>&)>;
    explicit Watched(StepOf step_of) : judge(answers()), step_of(std::move(step_of)) {}
    void submit(const WorkItem& item) override { judge.submit(item); }
    bool step(std::vector<results::Judgement>& finished) override { return step_of(judge, finished); }
    void cancel(const base::Hash128& call) override { judge.cancel(call); }
    void cancel_all() override { judge.cancel_all(); }
    std::size_t unfinished() const override { return judge.unfinished(); }
    engine::EngineCounters counters() const override { return judge.counters(); }
    std::uint32_t slots() const override { return judge.slots(); }

    FakeJudge judge;
    StepOf step_of;
  };
  const auto loses_device = [&found_out](int step) {
    return [&found_out, left = step](FakeJudge& judge, std::vector<results::Judgement>& finished) mutable {
      if (--left == 0) {
        found_out = true;
        throw base::Broken("the device is lost");
      }
      return judge.step(finished);
    };
  };
  // So that group 0 gets its share.
  const auto waits = [&found_out](FakeJudge& judge, std::vector<results::Judgement>& finished) {
    return found_out ? judge.step(finished) : true;
  };
  InProcessGroups setup;
  setup.groups = 2;
  setup.tensor_parallel = 2;
  setup.make_judge = [&](int group, comm::Comm& comm) -> std::unique_ptr<Judge> {
    if (group == 1) return std::make_unique<Watched>(waits);
    return std::make_unique<Watched>(loses_device(comm.rank() == 0 ? leader : follower));
  };
  const auto judged = [&](bool undisturbed) {
    TemporaryFolder run;
    results::Journal journal(run.path(), kIdentity, quick());
    const RunOutcome outcome = run_in_process(setup, support::plan_of(20), make_item, journal, {});
    CHECK(outcome.ending == Ending::complete);
    CHECK(outcome.lost_groups == (undisturbed ? 0 : 1));
    return texts(run.path());
  };
  const auto with_fault = judged(leader == kNever);
  setup.make_judge = [](int, comm::Comm&) { return std::make_unique<FakeJudge>(answers()); };
  CHECK(with_fault == judged(true));
  CHECK(with_fault.size() == 80);
}
