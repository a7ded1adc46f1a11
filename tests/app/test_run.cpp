#include <filesystem>

#include "app/fake_run.h"
#include "support/catch.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

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

TEST_CASE("run: --retry judges again what it names and nothing else") {
  const FakeRun fake("default: {text: \"<answer>{random:1:10}</answer><answer>{random:1:10}</answer>\"}\n"
                     "rows:\n  - {sample: a3, action: fail, text: \"broken\"}\n  - {sample: a4, action: truncate, text: \"<think>\"}\n"
                     "  - {sample: a5, text: \"no verdict {random:1:1000000}\"}\n");
  REQUIRE(fake.run("--set limits.failure_rate=1").code == 0);
  const std::string before = digest(fake.out);
  const auto retry = [&](const std::string& words) { return fake.run("--set limits.failure_rate=1 " + words); };
  // A failure is made again with the same noise: the same file. An unreadable text is sampled anew.
  const Outcome failed = retry("--retry failed");
  CHECK(failed.code == 0);
  CHECK_THAT(failed.text, Contains("--retry: 4 calls are judged again") && Contains("120 of 120 calls judged, 4 failed"));
  CHECK(digest(fake.out) == before);
  CHECK_THAT(retry("--retry truncated").text, Contains("--retry: 4 calls are judged again"));
  const Outcome unreadable = retry("--retry unreadable");
  CHECK_THAT(unreadable.text, Contains("--retry: 4 calls are judged again"));
  CHECK(fs::exists(fs::path(fake.out) / "DONE"));
  CHECK(digest(fake.out) != before);
  const std::string after = digest(fake.out);
  CHECK(retry("").code == 0);
  CHECK(digest(fake.out) == after);
  CHECK_THAT(program("verify " + fake.out).text, Contains("is whole: 120 of 120"));
}

TEST_CASE("run: --retry in words that mean nothing is refused") {
  const FakeRun fake;
  const auto refused = [&](const std::string& arguments, const std::string& expected) {
    const Outcome outcome = fake.run(arguments);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.text, Contains(expected));
  };
  refused("--retry faild", "did you mean 'failed'?");
  refused("--retry truncated --set judging.votes=1 --set sampling.temperature=0", "raise sampling.max_new_tokens");
  refused("--retry unreadable --set judging.votes=1 --set sampling.temperature=0", "the same answer would come again");
}

TEST_CASE("run: a larger max_new_tokens judges again only what had hit the old one") {
  const FakeRun fake("default: {text: \"<answer>{random:1:10}</answer><answer>{random:1:10}</answer>\"}\n"
                     "rows:\n  - {sample: a4, action: truncate, text: \"<think>\"}\n");
  REQUIRE(fake.run("--set sampling.max_new_tokens=64").code == 0);
  const std::string before = digest(fake.out);
  const Outcome longer = fake.run("--set sampling.max_new_tokens=128");
  CHECK(longer.code == 0);
  CHECK_THAT(longer.text, Contains("4 calls that had hit the old limit are judged again") && Contains("116 of 120 calls are judged already"));
  CHECK(digest(fake.out) == before);
  CHECK_THAT(fake.run("--set sampling.max_new_tokens=64").text, Contains("max_new_tokens was 128, is 64"));
}

TEST_CASE("run: too many unreadable answers stop the run before it burns the rest") {
  const FakeRun fake("slots: 4\ndefault: {text: \"no verdict\", delay_seconds: 0.001}\n");
  const Outcome stopped = fake.run("--set judging.votes=20");
  CHECK(stopped.code == 3);
  CHECK_THAT(stopped.text, Contains("are unreadable, 0 truncated and 0 failed, more than limits.stop_above = 0.5 allows"));
  CHECK_FALSE(fs::exists(fs::path(fake.out) / "DONE"));
  const Outcome all = fake.run("--set judging.votes=20 --set limits.stop_above=1");
  CHECK(all.code == 0);
  CHECK_THAT(all.text, Contains("1200 of 1200 calls judged"));
}

TEST_CASE("run: files are made with the user's umask, and never for everybody to write") {
  const FakeRun fake;
  const auto modes = [&](const std::string& umask) {
    REQUIRE(program("run " + fake.job + " --set limits.samples=3 --set output=" + fake.out + umask, "umask " + umask + ";").code == 0);
    REQUIRE(program("export " + fake.out + umask + " --format csv", "umask " + umask + ";").code == 0);
    fs::perms all = fs::perms::none;
    for (const std::string& folder : {fake.out + umask, fake.out + umask + "-export"}) {
      for (const auto& entry : fs::recursive_directory_iterator(folder)) all |= entry.status().permissions();
    }
    return all;
  };
  CHECK((modes("077") & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
  CHECK((modes("000") & fs::perms::others_write) == fs::perms::none);
}
