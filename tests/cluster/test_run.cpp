// Whole runs: plan, queue, link, worker groups as threads, journal.
#include <algorithm>
#include <cerrno>
#include <map>
#include <thread>

#include <unistd.h>

#include "base/error.h"
#include "cluster/fake_judge.h"
#include "cluster/in_process.h"
#include "results/journal.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "tests/cluster/made_up_run.h"
#include "tests/cluster/simulated_groups.h"

using namespace assize;
using namespace assize::cluster;
using support::TemporaryFolder;

namespace {

constexpr std::uint32_t kVotes = 2;

FakeTable answers() {
  FakeTable table;
  table.otherwise.text = "{sample} {presentation} {vote} <answer>{random:1:10}</answer>";
  return table;
}

InProcessGroups groups_of(FakeTable table, int groups = 1, int tensor_parallel = 1) {
  InProcessGroups setup;
  setup.groups = groups;
  setup.tensor_parallel = tensor_parallel;
  setup.make_judge = [table](int, comm::Comm&) { return std::make_unique<FakeJudge>(table); };
  return setup;
}

std::unique_ptr<results::Journal> open_journal(const TemporaryFolder& run) {
  results::JournalOptions options;
  options.lock_retry_seconds = 0;
  options.sync = [](int) { return 0; };
  return std::make_unique<results::Journal>(run.path(), "fake: 1\n", options);
}

/// call digest -> text (or "failed: reason") of a run folder.
std::map<base::Hash128, std::string> table_of(const TemporaryFolder& run, results::JournalSummary* summary = nullptr) {
  std::map<base::Hash128, std::string> rows;
  const auto found = results::scan_journal(run.path(), [&](results::Judgement&& j) {
    rows[base::digest(j.key)] = j.status == results::Status::failed ? "failed: " + j.error : j.text;
  });
  if (summary) *summary = found;
  return rows;
}

/// The table that any run of `items` items must give.
std::map<base::Hash128, std::string> expected_table(std::uint64_t items) {
  std::map<base::Hash128, std::string> rows;
  for (std::uint64_t id = 0; id < items; ++id) {
    for (const WorkCall& call : support::item_number(id, kVotes).calls) {
      rows[base::digest(call.key)] = fill_template(answers().otherwise.text, call);
    }
  }
  return rows;
}

WorkItem make_item(std::uint64_t id) { return support::item_number(id, kVotes); }

/// Two groups of one slot in virtual time: group 0 gives ten tokens a second, group 1 one. Every call has ten.
class FastAndSlow final : public comm::Link {
 public:
  FastAndSlow() {
    for (const int group : {0, 1}) inbox_.push_back({0, {group, encode(Hello{1, "simulated"})}});
  }
  double seconds() const { return seconds_; }
  std::vector<std::pair<int, base::Hash128>> drops;

  void send(int peer, std::vector<std::byte> bytes) override {
    const Message message = decode(bytes);
    if (const auto* lease = std::get_if<Lease>(&message)) {
      for (const WorkCall& call : lease->item.calls) {
        results::Judgement row = failed_judgement(lease->item, call, "");
        row.status = results::Status::ok;
        row.token_ids.assign(10, 1);
        double& free = free_[static_cast<std::size_t>(peer)];
        free = std::max(free, seconds_) + (peer == 0 ? 1 : 10);
        inbox_.push_back({free, {peer, encode(Finished{std::move(row)})}});
      }
    } else if (const auto* drop = std::get_if<Drop>(&message)) {
      drops.push_back({peer, drop->call});  // its answer is under way already
    } else {
      inbox_.push_back({seconds_, {peer, encode(Bye{})}});
    }
  }

  /// What has come by now; every look at an empty inbox takes half a second.
  std::optional<comm::Message> poll() override {
    const auto first = std::min_element(inbox_.begin(), inbox_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    if (first == inbox_.end() || first->first > seconds_) {
      seconds_ += 0.5;
      return std::nullopt;
    }
    comm::Message message = std::move(first->second);
    inbox_.erase(first);
    return message;
  }

 private:
  std::vector<std::pair<double, comm::Message>> inbox_;  ///< with the time at which it is there
  double free_[2] = {};
  double seconds_ = 0;
};

}  // namespace

TEST_CASE("one group judges the whole plan") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  CoordinatorSettings settings;
  std::uint64_t judged = 0;
  Progress last;
  settings.judged = [&](const results::Judgement& j) {
    CHECK(journal->contains(base::digest(j.key)));
    ++judged;
  };
  settings.progress = [&](const Progress& progress) { last = progress; };
  const RunOutcome outcome = run_in_process(groups_of(answers()), support::plan_of(30, kVotes), make_item, *journal, settings);
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.lost_groups == 0);
  CHECK(judged == 120);
  CHECK(last.state == Progress::State::ended);
  CHECK(last.calls_done == 120);
  CHECK(last.calls_total == 120);
  CHECK(last.cost_done == Approx(last.cost_total));
  CHECK(last.dropped == 0);
  results::JournalSummary summary;
  CHECK(table_of(run, &summary) == expected_table(30));
  CHECK(summary.duplicates == 0);
}

TEST_CASE("an empty plan ends at once") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  CHECK(run_in_process(groups_of(answers()), {}, make_item, *journal, {}).ending == Ending::complete);
}

TEST_CASE("several groups and ranks give the same table") {
  for (const auto& [groups, ranks] : std::vector<std::pair<int, int>>{{3, 1}, {1, 2}, {2, 2}, {1, 4}}) {
    TemporaryFolder run;
    const auto journal = open_journal(run);
    const RunOutcome outcome =
        run_in_process(groups_of(answers(), groups, ranks), support::plan_of(40, kVotes), make_item, *journal, {});
    CHECK(outcome.ending == Ending::complete);
    CHECK(table_of(run) == expected_table(40));
  }
}

TEST_CASE("a run stopped in the middle goes on where it was, and judges nothing twice") {
  TemporaryFolder run;
  std::uint64_t judged = 0;
  int launches = 0;
  for (; launches < 50; ++launches) {
    const auto journal = open_journal(run);
    // What is outstanding is what the journal does not hold yet, as the program plans it.
    std::vector<WorkItem> outstanding;
    std::vector<PlannedItem> plan;
    for (std::uint64_t id = 0; id < 40; ++id) {
      WorkItem item = make_item(id);
      std::erase_if(item.calls, [&](const WorkCall& call) { return journal->contains(base::digest(call.key)); });
      if (item.calls.empty()) continue;
      plan.push_back({static_cast<float>(item.cost), static_cast<std::uint32_t>(item.calls.size())});
      outstanding.push_back(item);
    }
    CoordinatorSettings settings;
    std::uint64_t here = 0;
    settings.judged = [&](const results::Judgement&) { ++here; };
    settings.stop_signals = [&] { return here >= 11 ? 1 + launches % 2 : 0; };  // drained, and at once
    const RunOutcome outcome = run_in_process(
        groups_of(answers(), 1 + launches % 3), plan, [&](std::uint64_t id) { return outstanding.at(id); }, *journal, settings);
    judged += here;
    if (outcome.ending == Ending::complete) break;
    CHECK(here >= 11);
  }
  CHECK(launches >= 3);
  CHECK(judged == 160);
  CHECK(table_of(run) == expected_table(40));
}

TEST_CASE("a group that hangs is taken out and the others finish its calls") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  support::SimulatedGroups groups(3, answers());
  groups.freeze(1);
  CoordinatorSettings settings;
  settings.clock = [&] { return groups.seconds(); };
  settings.queue.lease_seconds = 20;
  const RunOutcome outcome = coordinate(groups, 3, support::plan_of(40, kVotes), make_item, *journal, settings);
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.lost_groups == 1);
  CHECK(outcome.progress.failed == 0);
  CHECK(table_of(run) == expected_table(40));
}

TEST_CASE("an item that ends two groups is recorded as failed, and only that one") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  support::SimulatedGroups groups(4, answers());
  groups.freeze_whoever_takes(9);
  CoordinatorSettings settings;
  settings.clock = [&] { return groups.seconds(); };
  settings.queue.lease_seconds = 20;
  const RunOutcome outcome = coordinate(groups, 4, support::plan_of(60, kVotes), make_item, *journal, settings);
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.lost_groups == 2);
  CHECK(outcome.progress.failed == 4);
  auto expected = expected_table(60);
  for (const WorkCall& call : make_item(9).calls) {
    expected[base::digest(call.key)] = "failed: every worker group that worked on it was lost";
  }
  CHECK(table_of(run) == expected);
}

TEST_CASE("when every group is lost the run ends with an error and keeps what it has") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  support::SimulatedGroups groups(1, answers());
  groups.freeze_whoever_takes(9);
  CoordinatorSettings settings;
  settings.clock = [&] { return groups.seconds(); };
  settings.queue.lease_seconds = 20;
  CHECK_THROWS_AS(coordinate(groups, 1, support::plan_of(60, kVotes), make_item, *journal, settings), base::Error);
  CHECK(journal->calls() > 0);
  CHECK(journal->calls() < 240);
}

TEST_CASE("calls that do not end are left behind when the drain is over") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  FakeTable table = answers();
  table.rows = {table.otherwise};
  table.rows[0].sample = "s3";  // leased second, after s5
  table.rows[0].action = FakeAction::hang;
  support::SimulatedGroups groups(1, table);
  CoordinatorSettings settings;
  settings.clock = [&] { return groups.seconds(); };
  settings.drain_seconds = 30;
  bool stop = false;
  settings.judged = [&](const results::Judgement& j) { stop = stop || j.key.sample_id == "s5"; };
  settings.stop_signals = [&] { return stop ? 1 : 0; };
  const RunOutcome outcome = coordinate(groups, 1, support::plan_of(6, kVotes), make_item, *journal, settings);
  CHECK(outcome.ending == Ending::stopped);
  CHECK(outcome.lost_groups == 0);
  CHECK(groups.seconds() >= 30);
  CHECK(groups.seconds() < 35);
}

TEST_CASE("an item that makes the judge throw fails alone") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  FakeTable table = answers();
  table.rows.resize(1);
  table.rows[0].sample = "s7";
  table.rows[0].vote = 1;
  table.rows[0].action = FakeAction::throw_error;
  const RunOutcome outcome = run_in_process(groups_of(table), support::plan_of(20, kVotes), make_item, *journal, {});
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.progress.failed >= 2);
  CHECK(outcome.progress.failed <= 4);
  const auto expected = expected_table(20);
  for (const auto& [call, text] : table_of(run)) {
    if (text.rfind("failed: ", 0) == 0) {
      CHECK(text == "failed: the judge failed: fake judge: told to throw");
    } else {
      CHECK(text == expected.at(call));
    }
  }
  CHECK(table_of(run).size() == 80);
}

TEST_CASE("an exception in a group of several ranks ends the run with its message") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  FakeTable table = answers();
  table.rows.resize(1);
  table.rows[0].sample = "s7";
  table.rows[0].action = FakeAction::throw_error;
  std::string message;
  try {
    run_in_process(groups_of(table, 1, 2), support::plan_of(20, kVotes), make_item, *journal, {});
  } catch (const base::Error& error) {
    message = error.what();
  }
  CHECK(message.find("worker group 0: ") == 0);
}

TEST_CASE("a judge that cannot be made ends the run with its error") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  InProcessGroups setup = groups_of(answers());
  setup.make_judge = [](int, comm::Comm&) -> std::unique_ptr<Judge> { throw base::Error("model.safetensors: missing"); };
  std::string message;
  try {
    run_in_process(setup, support::plan_of(2, kVotes), make_item, *journal, {});
  } catch (const base::Error& error) {
    message = error.what();
    CHECK(error.kind() == base::ErrorKind::usage);
  }
  CHECK(message == "worker group 0: model.safetensors: missing");
}

TEST_CASE("a journal that cannot be written ends the run, and the groups leave") {
  TemporaryFolder run;
  results::JournalOptions options;
  options.sync_records = 1;
  int writes = 0;
  options.write = [&](int fd, const void* data, std::size_t size) -> ssize_t {
    return ++writes > 10 ? (errno = ENOSPC, -1) : ::write(fd, data, size);
  };
  options.sync = [](int) { return 0; };
  results::Journal journal(run.path(), "fake: 1\n", options);
  CHECK_THROWS_AS(run_in_process(groups_of(answers(), 2), support::plan_of(20, kVotes), make_item, journal, {}), base::Error);
  CHECK(table_of(run).size() == 9);  // ten writes: the epoch and nine judgements
}

TEST_CASE("garbage and unasked judgements from a group do no harm") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  auto [link, leaders] = comm::make_in_process_star(2);
  // Group 0 says hello, brings a judgement that nobody asked for, then garbage. Group 1 works.
  leaders[0]->send(0, encode(Hello{4, "liar"}));
  leaders[0]->send(0, encode(Finished{failed_judgement(make_item(500), make_item(500).calls[0], "made up")}));
  leaders[0]->send(0, std::vector<std::byte>(50, std::byte{0xFF}));
  std::thread worker([&leader = *leaders[1]] {
    const auto alone = comm::make_alone();
    FakeJudge judge(answers());
    run_worker(*alone, &leader, judge, {});
  });
  const RunOutcome outcome = coordinate(*link, 2, support::plan_of(20, kVotes), make_item, *journal, {});
  worker.join();
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.lost_groups == 1);
  CHECK(outcome.progress.dropped == 1);
  CHECK(table_of(run) == expected_table(20));
}

TEST_CASE("what a slow group would end last is judged by a fast one too; the slow one is told, and one row is kept") {
  TemporaryFolder run;
  const auto journal = open_journal(run);
  std::vector<PlannedItem> plan;
  for (std::uint64_t id = 0; id < 12; ++id) plan.push_back({40, 4, 10, 0});
  FastAndSlow groups;
  CoordinatorSettings settings;
  settings.clock = [&] { return groups.seconds(); };
  const RunOutcome outcome = coordinate(groups, 2, plan, make_item, *journal, settings);
  CHECK(outcome.ending == Ending::complete);
  CHECK(outcome.progress.calls_done == 48);
  CHECK(outcome.lost_groups == 0);
  REQUIRE_FALSE(groups.drops.empty());
  const auto rows = table_of(run);
  CHECK(rows.size() == 48);
  for (const auto& [group, call] : groups.drops) {
    CHECK(group == 1);
    CHECK(rows.contains(call));
  }
}
