#include <filesystem>
#include <string>

#include "job/job_spec.h"
#include "suite/suite.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace assize;
namespace fs = std::filesystem;

TEST_CASE("shipped suites load without a problem and hold what they promise") {
  int suites = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(support::source_dir()) / "configs/suites")) {
    if (!fs::exists(entry.path() / "suite.yaml")) continue;
    const suite::Suite suite = suite::load_suite(entry.path() / "suite.yaml", 0, 0);
    INFO(suite.id);
    CHECK(suite.samples.size() >= 200);
    for (const auto& sample : suite.samples) CHECK_FALSE(sample.human.empty());
    ++suites;
  }
  CHECK(suites >= 1);
}

TEST_CASE("suites of published benchmarks are whole but for their samples") {
  int suites = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(support::source_dir()) / "configs/suites")) {
    if (entry.path().extension() != ".yaml") continue;
    INFO(entry.path().string());
    // With the samples in place it loads; without them, that is all that is wrong.
    try {
      suite::load_suite(entry.path(), 0, 0);
    } catch (const std::exception& error) {
      CHECK_THAT(error.what(), Catch::Matchers::Contains("tools/import-suite " + entry.path().stem().string() + " SOURCE"));
    }
    ++suites;
  }
  CHECK(suites >= 7);
}

TEST_CASE("suites of published benchmarks say how to get the published prompts") {
  int with_profile = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(support::source_dir()) / "configs/suites")) {
    if (entry.path().extension() != ".yaml") continue;
    INFO(entry.path().string());
    std::string problem = "tools/import-prompts CHECKOUT";
    try {
      suite::load_suite(entry.path(), 0, 0, job::Profile::repo);
    } catch (const std::exception& error) {
      problem = error.what();
    }
    if (problem.find("has no 'profiles.repo'") != std::string::npos) continue;
    // Where the prompts have been imported, samples may still be missing.
    const std::string name = entry.path().stem().string();
    CHECK_THAT(problem, Catch::Matchers::Contains("tools/import-prompts CHECKOUT") ||
                            Catch::Matchers::Contains("tools/import-suite " + name + " SOURCE"));
    ++with_profile;
  }
  CHECK(with_profile >= 17);
}

TEST_CASE("shipped jobs are jobs") {
  for (const auto& entry : fs::directory_iterator(fs::path(support::source_dir()) / "jobs")) {
    INFO(entry.path().string());
    // What a job names may have to be made first (tools/get-model, tools/import-suite); its own keys may not be wrong.
    try {
      job::load_job(entry.path(), {}, job::JudgePresence::optional);
    } catch (const std::exception& error) {
      CHECK_THAT(error.what(), Catch::Matchers::Contains("does not exist"));
      CHECK_THAT(error.what(), !Catch::Matchers::Contains("unknown key"));
    }
  }
}
