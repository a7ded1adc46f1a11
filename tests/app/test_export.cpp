#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "app/fake_run.h"
#include "support/catch.h"

using namespace assize::app_tests;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// Every file of a folder with its bytes.
std::map<std::string, std::string> snapshot(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[entry.path().string()] = contents(entry.path());
  }
  return files;
}

std::size_t count_lines(const std::string& text) { return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')); }

/// Ends a run in the middle of its journal: the last 70 bytes are gone, and everything that only an end writes.
void crash(const fs::path& out) {
  for (const char* name : {"DONE", "results.h5", "metrics.json", "metrics.csv", "report.html", "report.md"}) fs::remove(out / name);
  const fs::path segment = out / "journal/000000";
  fs::resize_file(segment, fs::file_size(segment) - 70);
}

}  // namespace

TEST_CASE("export: the same file as the run's, in a folder of its own; the run is only read") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  const auto before = snapshot(fake.out);
  const Outcome outcome = program("export " + fake.out + "/ --format csv --format jsonl");
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("120 of 120 calls judged; the whole run is in " + fake.out + "-export"));
  CHECK(snapshot(fake.out) == before);
  const fs::path folder = fake.out + "-export";
  fs::copy_file(fake.out + "/job.yaml", folder / "job.yaml");
  CHECK(digest(folder.string()) == digest(fake.out));
  CHECK(count_lines(contents(folder / "judgements.csv")) == 121);
  CHECK(count_lines(contents(folder / "samples.jsonl")) == 30);
  const auto row = nlohmann::json::parse(contents(folder / "samples.jsonl").substr(0, contents(folder / "samples.jsonl").find('\n')));
  CHECK(row["suite"] == "s");
  CHECK(row["human_value"].is_null());
}

TEST_CASE("export: what a crashed run has judged") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  crash(fake.out);
  const auto before = snapshot(fake.out);
  const Outcome outcome = program("export " + fake.out + " --output " + fake.folder.string() + "/there --format jsonl");
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("119 of 120 calls judged; what is there is in"));
  CHECK(snapshot(fake.out) == before);
  CHECK(count_lines(contents(fake.folder.path() / "there/judgements.jsonl")) == 119);
}

TEST_CASE("export: wrong input is one line that says what to do") {
  const FakeRun fake;
  REQUIRE(fake.run("--set limits.samples=2").code == 0);
  const auto refused = [&](const std::string& arguments, const std::string& expected) {
    const Outcome outcome = program("export " + arguments);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.text, Contains(expected));
  };
  refused(fake.out + " --format cvs", "did you mean 'csv'?");
  refused(fake.out + " --output " + fake.out, "is the run itself");
  refused(fake.out + "/none", "there is no such run folder");
  refused(fake.folder.string(), "is not a run folder");
}

TEST_CASE("verify: a whole run, a crashed one and an unfinished one are whole") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  const Outcome whole = program("verify " + fake.out);
  CHECK(whole.code == 0);
  CHECK_THAT(whole.text, Contains("is whole: 120 of 120 calls judged") && Contains("results.h5: complete, 120 judgements"));
  crash(fake.out);
  const Outcome crashed = program("verify " + fake.out);
  CHECK(crashed.code == 0);
  CHECK_THAT(crashed.text, Contains("is whole: 119 of 120 calls judged") && Contains("the next start cuts them off"));
  fs::remove(fake.folder.path() / "table.yaml");
  CHECK_THAT(program("verify " + fake.out).text, Contains("table.yaml is not here"));
}

TEST_CASE("verify: every kind of damage is named and is exit code 1") {
  const FakeRun fake;
  REQUIRE(fake.run().code == 0);
  const auto finds = [&](const std::string& expected) {
    const Outcome outcome = program("verify " + fake.out);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.text, Contains("BAD ") && Contains(expected));
  };
  const fs::path segment = fs::path(fake.out) / "journal/000000";
  const std::string journal = contents(segment);
  std::string damaged = journal;
  damaged[damaged.size() / 2] ^= 1;
  fake.folder.write("out/journal/000000", damaged);
  finds("hold no whole record");
  finds("DONE: is there, but 1 of 120 calls have no judgement");
  REQUIRE(fake.run().code == 0);
  const Outcome healed = program("verify " + fake.out);
  CHECK(healed.code == 0);
  CHECK_THAT(healed.text, Contains("hold no whole record; every call is judged without them"));
  damaged = journal;
  damaged[30] ^= 1;
  fake.folder.write("out/journal/000000", damaged);
  finds("the header of this part of the journal is damaged");
  fake.folder.write("out/journal/000000", journal);

  const std::string manifest = contents(fs::path(fake.out) / "manifest.json");
  fake.folder.write("out/manifest.json", manifest.substr(0, manifest.size() / 2));
  finds("manifest.json: is damaged");
  fake.folder.write("out/manifest.json", manifest);

  std::string results = contents(fs::path(fake.out) / "results.h5");
  fake.folder.write("out/results.h5", results.substr(0, results.size() / 2));
  finds("results.h5");
  fake.folder.write("out/results.h5", results);
  CHECK(program("verify " + fake.out).code == 0);

  fake.write_samples("!");
  finds("120 calls were asked something else than the suites say now, the first is sample 'a");
  fake.write_samples("");
  fake.folder.write("table.yaml", "default: {text: \"<answer>1</answer><answer>2</answer>\"}\n");
  finds("judge: ");
}
