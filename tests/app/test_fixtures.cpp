// Runs that older programs have made.
#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

#include "app/fake_run.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace assize::app_tests;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A copy of a fixture, since some commands write into the run.
struct Fixture {
  assize::support::TemporaryFolder folder;
  std::string run = (folder.path() / "run").string();

  explicit Fixture(const std::string& name) {
    fs::copy(fs::path(assize::support::source_dir()) / "tests/results/fixtures" / name, folder.path(), fs::copy_options::recursive);
  }
};

/// The texts of judgements.jsonl.
std::multiset<std::string> exported_texts(const fs::path& file) {
  std::multiset<std::string> texts;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) texts.insert(nlohmann::json::parse(line)["text"].get<std::string>());
  return texts;
}

}  // namespace

TEST_CASE("a run of journal version 1 is shown, verified, reported and exported") {
  const Fixture fixture("version-1");
  const Outcome shown = program("show " + fixture.run);
  CHECK(shown.code == 0);
  CHECK_THAT(shown.text, Contains("judgements 24 (4 truncated, 2 failed)") && Contains("2 starts") && Contains("accuracy"));
  CHECK(program("show " + fixture.run + " --digest").text == "fbb76040c08d85579abdac20637328ed\n");
  const Outcome verified = program("verify " + fixture.run);
  CHECK(verified.code == 0);
  CHECK_THAT(verified.text, Contains("is whole: 24 of 24 calls judged"));
  const Outcome exported = program("export " + fixture.run + " --format jsonl");
  CHECK(exported.code == 0);
  const auto texts = exported_texts(fixture.run + "-export/judgements.jsonl");
  CHECK(texts.size() == 24);
  CHECK(texts.count("<think>too long") == 4);
  CHECK(texts.count("no verdict") == 2);
  CHECK(texts.count("") == 2);
  CHECK_THAT(program("report " + fixture.run).text, Contains("24 of 24 calls judged"));
}

TEST_CASE("a crashed run of journal version 1 is continued") {
  const Fixture fixture("version-1");
  const fs::path segment = fs::path(fixture.run) / "journal/000000";
  fs::resize_file(segment, fs::file_size(segment) - 40);
  fs::remove(fs::path(fixture.run) / "DONE");
  CHECK_THAT(program("export " + fixture.run).text, Contains("23 of 24 calls judged"));
  const Outcome more = program("run " + fixture.run + "/job.yaml --retry failed --set output=" + fixture.run);
  CHECK_THAT(more.text, Contains("--retry: 2 calls are judged again") && Contains("24 of 24 calls judged"));
  CHECK_THAT(program("show " + fixture.run).text, Contains("judgements 24 (4 truncated, 2 failed)") && Contains("3 starts"));
}
