#include <filesystem>
#include <fstream>

#include "app/program.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A suite of 30 pairs and one of a single pair, judged by a table of answers.
struct ShardedRun {
  TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();
  std::string whole = (folder.path() / "whole").string();
  std::string merged = (folder.path() / "it's merged").string();

  ShardedRun() {
    folder.write("table.yaml", "default: {text: \"<answer>{random:1:10}</answer><answer>{random:1:10}</answer>\"}\n");
    folder.write("job.yaml", "kind: evaluate\njudge: {fake: table.yaml, id: j}\nsuites: [many, one]\noutput: " + whole +
                                 "\njudging: {votes: 2, seed: 3}\n");
    for (const char* suite : {"many", "one"}) {
      folder.write(std::string(suite) + "/prompt.yaml", "id: p\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
      folder.write(std::string(suite) + "/suite.yaml", "id: " + std::string(suite) + "\nprotocol: pair\nprompt: prompt.yaml\n");
    }
    write_samples("many", 30);
    write_samples("one", 1);
  }
  void write_samples(const std::string& suite, int count, const std::string& addition = "") const {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      const std::string n = std::to_string(i);
      lines += R"({"id": "a)" + n + R"(", "question": "q)" + n + addition + R"(", "candidates": ["one", "two"], "human": ")" +
               (i % 3 ? "A" : "B") + "\"}\n";
    }
    folder.write(suite + "/samples.jsonl", lines);
  }
  std::string shard(int index, int count) const {
    return (folder.path() / ("shard-" + std::to_string(index) + "-of-" + std::to_string(count))).string();
  }
  Outcome run_shard(int index, int count, const std::string& extra = "") const {
    return program("run " + job + " --set limits.shard=" + std::to_string(index) + "/" + std::to_string(count) + " --set output=" +
                   shard(index, count) + " " + extra);
  }
  Outcome merge(const std::string& runs) const { return program("merge \"" + merged + "\" " + runs); }
};

}  // namespace

TEST_CASE("merge: shards that are merged have the digest of one run, whatever their number and order") {
  const ShardedRun run;
  REQUIRE(program("run " + run.job).code == 0);
  std::string runs;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(run.run_shard(i, 3).code == 0);
    runs = run.shard(i, 3) + " " + runs;
  }
  const Outcome merged = run.merge(runs);
  CHECK(merged.code == 0);
  CHECK_THAT(merged.text, Contains("124 of 124 calls judged"));
  const std::string folder = "\"" + run.merged + "\"";
  CHECK(digest(folder) == digest(run.whole));
  CHECK(digest(folder).size() == 32);
  // Once more, and as a run of its own: nothing is left to judge.
  CHECK(run.merge(runs).code == 0);
  CHECK(program("run " + run.job + " --set \"output='" + (run.folder.path() / "it''s merged").string() + "'\"").code == 0);
  CHECK(digest(folder) == digest(run.whole));
  CHECK_THAT(program("show " + folder).text, Contains("complete") && !Contains("duplicates"));
}

TEST_CASE("merge: what is missing, unfinished, twice or different is refused by name") {
  const ShardedRun run;
  for (int i = 0; i < 2; ++i) REQUIRE(run.run_shard(i, 2).code == 0);
  const std::string first = run.shard(0, 2), second = run.shard(1, 2);

  const Outcome missing = run.merge(first);
  CHECK(missing.code == 2);
  CHECK_THAT(missing.text, Contains("are all 2 shards there?"));
  CHECK_FALSE(fs::exists(fs::path(run.merged) / "DONE"));

  CHECK_THAT(run.merge(first + " " + first).text, Contains("the runs overlap") && Contains("of suite 'many'"));
  CHECK_THAT(run.merge(first + " " + run.folder.string() + "/suite").text, Contains("no such run folder"));
  CHECK_THAT(program("merge " + first + " " + first + " " + second).text, Contains("cannot be one of them"));
  CHECK_THAT(program("merge " + first).text, Contains("merge takes OUT RUN"));

  fs::rename(fs::path(second) / "DONE", fs::path(second) / "NOT");
  CHECK_THAT(run.merge(first + " " + second).text, Contains(second + ": is not done"));
  fs::rename(fs::path(second) / "NOT", fs::path(second) / "DONE");

  REQUIRE(run.run_shard(2, 3, "--set judging.votes=1 --set judging.seed=4").code == 0);
  CHECK_THAT(run.merge(first + " " + run.shard(2, 3)).text,
             Contains("differ in judging.votes, judging.seed, limits.shard (its COUNT), judge, model or sampling"));

  run.write_samples("many", 30, " changed");
  REQUIRE(run.run_shard(1, 2, "--fresh").code == 0);
  CHECK_THAT(run.merge(first + " " + second).text, Contains("differ in the contents of suite many"));
}

TEST_CASE("shards: a sample stays in its shard when the suite grows, and an empty shard is done at once") {
  const ShardedRun run;
  REQUIRE(run.run_shard(0, 2).code == 0);
  run.write_samples("many", 60);
  const Outcome more = run.run_shard(0, 2);
  CHECK(more.code == 0);
  CHECK_THAT(more.text, Contains("going on"));
  std::size_t empty = 0, done = 0;
  for (int i = 0; i < 4; ++i) {
    const Outcome outcome = run.run_shard(i, 40, "--set suites=[one]");
    CHECK(outcome.code == 0);
    empty += outcome.text.find("0 of 0 calls") != std::string::npos;
    done += fs::exists(fs::path(run.shard(i, 40)) / "DONE");
  }
  CHECK(empty >= 3);
  CHECK(done == 4);
  CHECK_THAT(program("run " + run.job + " --set limits.shard=2/2").text, Contains("'limits.shard' is '2/2'"));
}

TEST_CASE("watch --once: says how a run stands from its files, whoever wrote them") {
  const ShardedRun run;
  CHECK_THAT(program("watch --once " + run.whole).text, Contains("no such run folder"));
  REQUIRE(program("run " + run.job).code == 0);
  const Outcome done = program("watch " + run.whole);
  CHECK(done.code == 0);
  CHECK_THAT(done.text, Contains("done  124/124 calls (100.0 %)"));
  fs::remove(fs::path(run.whole) / "DONE");
  CHECK_THAT(program("watch --once " + run.whole).text, Contains("not running"));
  for (const char* text : {"", "{", "[]", "{\"state\": \"judging\\u001b[2J\", \"calls_done\": \"x\", \"groups\": [1, {\"state\": 2}]}"}) {
    std::ofstream(fs::path(run.whole) / "progress.json") << text;
    const Outcome outcome = program("watch --once " + run.whole);
    CHECK(outcome.code == 0);
    CHECK(outcome.text.find('\x1b') == std::string::npos);
  }
}
