#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "app/program.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "support/tiny_models.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

nlohmann::json metrics(const fs::path& run) { return nlohmann::json::parse(std::ifstream(run / "metrics.json")); }

/// A made-up workload with pictures for the tiny vision-language judge.
struct TinyRun {
  TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();
  fs::path out = folder.path() / "out";

  TinyRun() {
    assize::support::write_tiny_model(assize::support::TinyKind::qwen2_5_vl, folder.path() / "judge");
    folder.write("job.yaml", "kind: throughput\njudge: judge\n"
                             "workload: {prompt_groups: 4, prompt_tokens: 200, common_tokens: 130, images: 1, image_size: 56x56, "
                             "output_tokens: 6}\n"
                             "judging: {votes: 3, orders: both, seed: 2}\nsampling: {temperature: 0.7}\n"
                             "parallel: {threads: 1}\nengine: {slots: 8}\noutput: " + out.string() + "\n");
  }
};

}  // namespace

TEST_CASE("throughput: from a made-up workload to report, figures and rows") {
  const TinyRun run;
  const Outcome outcome = program("run " + run.job);
  INFO(outcome.text);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("24 calls in"));
  for (const char* name : {"report.html", "metrics.json", "results.h5", "job.yaml", "DONE"}) CHECK(fs::exists(run.out / name));
  const auto json = metrics(run.out);
  REQUIRE(json["runs"].size() == 1);
  const auto& measured = json["runs"][0];
  CHECK(measured["calls"] == 24);
  CHECK(measured["failed"] == 0);
  CHECK(measured["prompts"] == 8);
  CHECK(measured["images"] == 4);
  CHECK(measured["distinct_prompt_tokens"] < measured["prompt_tokens"]);
  CHECK(measured["ceilings"][0]["flop_per_second"] > 0);
  const auto& whole = measured["figures"]["all"]["whole"];
  CHECK(whole["encodes_per_image"] == 1);
  CHECK(whole["fork_reuse"] > 0.5);
  CHECK(whole["prefix_reuse"] > 0.05);
  CHECK(whole["perfect_share"] > 0);
  CHECK(whole["flop_use"] > 0);
  for (const auto& [key, value] : whole.items()) CHECK(json["meanings"].contains(key));
  CHECK_THAT(program("show " + run.out.string()).text,
             Contains("measured") && Contains("judgements_per_second") && !Contains("e+0"));
  const Outcome report = program("report " + run.out.string());
  CHECK(report.code == 2);
  CHECK_THAT(report.text, Contains("is a measurement"));
}

TEST_CASE("throughput: check and prompt write nothing where the run would") {
  const TinyRun run;
  for (const char* command : {"check ", "prompt "}) {
    const Outcome outcome = program(command + run.job);
    INFO(outcome.text);
    CHECK(outcome.code == 0);
    CHECK_FALSE(fs::exists(run.out));
  }
  CHECK_THAT(program("check " + run.job).text, Contains("output " + run.out.string()));
}

TEST_CASE("throughput: a measurement is made anew; switches change what is reused") {
  const TinyRun run;
  REQUIRE(program("run " + run.job).code == 0);
  const Outcome outcome = program("run " + run.job + " --set engine.prefix_sharing=off --set engine.fork=off --set engine.encoder_cache=off");
  INFO(outcome.text);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("set aside"));
  const auto whole = metrics(run.out)["runs"][0]["figures"]["all"]["whole"];
  CHECK(whole["fork_reuse"] == 0);
  CHECK(whole["prefix_reuse"] == 0);
  CHECK(whole["encodes_per_image"] == 6);
}

TEST_CASE("throughput: several groups under mpirun") {
  const TinyRun run;
  const Outcome outcome = program("run " + run.job, mpirun(3));
  INFO(outcome.text);
  REQUIRE(outcome.code == 0);
  const auto measured = metrics(run.out)["runs"][0];
  CHECK(measured["groups"] == 2);
  CHECK(measured["figures"].contains("group 1"));
}

TEST_CASE("throughput: a job says what it lacks") {
  const TinyRun run;
  CHECK_THAT(program("run " + run.job + " --set workload.prompt_groups=0").text, Contains("workload.prompt_groups"));
  CHECK_THAT(program("run " + run.job + " --set workload.common_tokens=300").text, Contains("more than the 200 of the whole prompt"));
  CHECK_THAT(program("run " + run.job + " --set kind=evaluate").text, Contains("belongs to jobs of 'kind: throughput'"));
  CHECK_THAT(program("run " + run.job + " --set suites=there").text,
             Contains("unknown key 'workload.prompt_groups'") && Contains("suite 'there' does not exist"));
  CHECK_THAT(program("run " + run.job + " --set workload.image_size=big").text, Contains("WIDTHxHEIGHT"));
  CHECK_THAT(program("run " + run.job + " --set sampling.max_new_tokens=5").text, Contains("more than the 5 that 'sampling.max_new_tokens' allows"));
  CHECK_THAT(program("run " + run.job + " --retry failed").text, Contains("does not go with 'kind: throughput'"));
  CHECK_FALSE(fs::exists(run.out));
}
