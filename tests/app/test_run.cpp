#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/program.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A suite of 30 pairs judged by a table of answers.
struct FakeRun {
  TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();
  std::string out = (folder.path() / "out").string();

  explicit FakeRun(const std::string& table = "default: {text: \"<answer>{random:1:10}</answer><answer>{random:1:10}</answer>\"}\n") {
    folder.write("table.yaml", table);
    folder.write("suite/prompt.yaml", "id: p\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
    folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n");
    write_samples("");
    folder.write("job.yaml", "kind: evaluate\njudge: {fake: table.yaml, id: j}\nsuites: [suite]\noutput: " + out +
                                 "\njudging: {votes: 2, seed: 3}\n");
  }
  void write_samples(const std::string& addition, bool backwards = false) const {
    std::string lines;
    for (int i = 0; i < 30; ++i) {
      const std::string n = std::to_string(i);
      const std::string line = R"({"id": "a)" + n + R"(", "question": "q)" + n + addition + R"(", "candidates": ["one", "two"], "human": ")" +
                               (i % 3 ? "A" : "B") + "\"}\n";
      lines = backwards ? line + lines : lines + line;
    }
    folder.write("suite/samples.jsonl", lines);
  }
  Outcome run(const std::string& extra = "") const { return program("run " + job + " " + extra); }
};

std::string contents(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("run: from YAML to report, and once more without doing anything twice") {
  const FakeRun fake;
  const Outcome first = fake.run();
  CHECK(first.code == 0);
  CHECK_THAT(first.text, Contains("120 of 120 calls judged, 0 failed"));
  for (const char* name : {"DONE", "job.yaml", "manifest.json", "progress.json", "results.h5", "metrics.json", "report.html", "report.md"}) {
    CHECK(fs::exists(fs::path(fake.out) / name));
  }
  const std::string before = digest(fake.out);
  CHECK(before.find_first_not_of("0123456789abcdef") == std::string::npos);
  const auto journal_bytes = fs::file_size(fs::path(fake.out) / "journal/000000");
  CHECK(fake.run().code == 0);
  CHECK(digest(fake.out) == before);
  CHECK(fs::file_size(fs::path(fake.out) / "journal/000000") < journal_bytes + 200);
  CHECK_THAT(program("show " + fake.out).text, Contains("complete") && Contains("accuracy"));
}

TEST_CASE("run: the report is a pure function of the journal") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  const std::string before = digest(fake.out), page = contents(fs::path(fake.out) / "metrics.json");
  fs::remove(fs::path(fake.out) / "results.h5");
  fs::remove(fs::path(fake.out) / "metrics.json");
  fs::remove(fake.folder.path() / "table.yaml");
  CHECK(program("report " + fake.out).code == 0);
  CHECK(digest(fake.out) == before);
  CHECK(contents(fs::path(fake.out) / "metrics.json") == page);
}

TEST_CASE("run: samples and votes extend a run; what is there is kept") {
  const FakeRun fake;
  const std::string other = fake.out + "-whole";
  REQUIRE(fake.run("--set limits.samples=7 --set judging.votes=1").code == 0);
  const Outcome more = fake.run("--set judging.votes=3");
  CHECK(more.code == 0);
  CHECK_THAT(more.text, Contains("14 of 180 calls are judged already"));
  REQUIRE(fake.run("--set judging.votes=3 --set output=" + other).code == 0);
  CHECK(digest(fake.out) == digest(other));
}

TEST_CASE("run: neither the order of the file nor the number of groups changes a bit") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  fake.write_samples("", true);
  const std::string other = fake.out + "-mpi";
  const Outcome mpi = program("run " + fake.job + " --set output=" + other, mpirun(4));
  CHECK(mpi.code == 0);
  CHECK_THAT(mpi.text, Contains("3 groups of 1"));
  CHECK(digest(fake.out) == digest(other));
}

TEST_CASE("run: what the texts depend on must stay the same, or the run is refused with the difference") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  const Outcome sampling = fake.run("--set sampling.temperature=0.9");
  CHECK(sampling.code == 2);
  CHECK_THAT(sampling.text, Contains("temperature") && Contains("0.9") && Contains("--fresh"));
  fake.write_samples("!");
  const Outcome text = fake.run();
  CHECK(text.code == 2);
  CHECK_THAT(text.text, Contains("was judged with another text, picture or prompt"));
  CHECK(fake.run("--fresh").code == 0);
  CHECK(fs::exists(fake.out + ".old-1/DONE"));
}

TEST_CASE("run: the reading of the texts is free") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  CHECK(fake.run("--set judging.parser=repo --set judging.on_unreadable=wrong").code == 0);
}

TEST_CASE("run: failures are rows, and too many of them are exit code 3") {
  const FakeRun fake("default: {text: \"<answer>8</answer><answer>3</answer>\"}\n"
                     "rows:\n  - {sample: a3, action: fail, text: \"the picture is broken\"}\n  - {sample: a4, action: truncate, text: \"<think>\"}\n");
  const Outcome outcome = fake.run();
  CHECK(outcome.code == 3);
  CHECK_THAT(outcome.text, Contains("4 failed") && Contains("limits.failure_rate"));
  CHECK(fake.run("--set limits.failure_rate=0.05").code == 0);
  CHECK_THAT(contents(fs::path(fake.out) / "report.html"), Contains("the picture is broken"));
}

TEST_CASE("run: a judge that throws costs its own calls only") {
  const FakeRun fake("default: {text: \"<answer>8</answer><answer>3</answer>\"}\nrows:\n  - {sample: a3, action: throw}\n");
  const Outcome outcome = fake.run("--set limits.failure_rate=0.1");
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("120 of 120 calls judged, 4 failed"));
}

TEST_CASE("run: a stop signal drains, and the same command goes on to the same file") {
  const FakeRun fake("slots: 2\ndefault: {text: \"<answer>{random:1:10}</answer><answer>4</answer>\", delay_seconds: 0.01}\n");
  const std::string other = fake.out + "-whole";
  REQUIRE(fake.run("--set output=" + other).code == 0);
  const Outcome stopped = program("run " + fake.job, "timeout -s TERM 0.3");
  CHECK_THAT(stopped.text, Contains("run the same command to go on"));
  CHECK_FALSE(fs::exists(fs::path(fake.out) / "DONE"));
  const Outcome killed = program("run " + fake.job, "timeout -s KILL 0.2");
  CHECK(killed.code != 0);
  CHECK(fake.run().code == 0);
  CHECK(digest(fake.out) == digest(other));
}

TEST_CASE("run: everything that models and data wrote is escaped") {
  const FakeRun fake("default: {text: \"<script>alert('judge')</script><answer>8</answer><answer>3</answer>\"}\n");
  fake.write_samples("<img src=x onerror=alert(1)>");
  REQUIRE(fake.run().code == 0);
  const std::string page = contents(fs::path(fake.out) / "report.html");
  CHECK(page.find("<script>alert('judge')") == std::string::npos);
  CHECK(page.find("<img src=x") == std::string::npos);
}

TEST_CASE("command line: wrong input is one clear line and exit code 2") {
  TemporaryFolder folder;
  const auto check = [](const std::string& arguments, const std::string& expected) {
    const Outcome outcome = program(arguments);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.text, Contains("assize: ") && Contains(expected));
  };
  check("rn x.yaml", "unknown command 'rn'; did you mean 'run'?");
  check("run", "assize run takes one JOB.yaml");
  check("run a b", "assize run takes one JOB.yaml");
  check("run --frehs x", "frehs");
  check("run " + folder.string() + "/none.yaml", "none.yaml: cannot be read");
  check("show " + folder.string(), "is not a run folder");
  check("report " + folder.string() + "/none", "there is no such run folder");
  folder.write("run/job.yaml", "kind: evaluate\n");
  check("show " + folder.string() + "/run --digest", "has no results.h5 yet");
  CHECK(program("run --help").code == 0);
  CHECK_THAT(program("run --help").text, Contains("Example:"));
  CHECK_THAT(program("--help").text, Contains("Exit codes"));
  CHECK_THAT(program("version").text, Contains("Open MPI") && Contains("HDF5"));
}

TEST_CASE("command line: an output folder that cannot be written stops the run before it judges") {
  const FakeRun fake;
  fake.folder.write("file", "not a folder");
  const Outcome outcome = fake.run("--set output=" + fake.folder.string() + "/file/out");
  CHECK(outcome.code == 2);
  CHECK_THAT(outcome.text, Contains("the output folder cannot be written"));
}
