#include "base/error.h"
#include "job/job_spec.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::job;
using Catch::Matchers::Contains;

namespace {

JobSpec throughput_job(const std::string& yaml, bool has_suites) {
  const Tree tree = parse_yaml(yaml, "job.yaml");
  Problems problems;
  MapReader reader(&tree, tree.place, "", problems);
  JobSpec job;
  job.kind = Kind::throughput;
  read_throughput(reader, tree.place, has_suites, job, problems);
  reader.finish();
  problems.raise();
  return job;
}

WorkloadSpec workload(const std::string& yaml, bool has_suites = false) {
  return throughput_job("workload: " + yaml, has_suites).workload.value();
}

std::vector<int> scaling(const std::string& yaml) { return throughput_job("scaling: " + yaml, false).scaling.value(); }

}  // namespace

TEST_CASE("a picture is given by its size or by its tokens of 28 x 28 pixels") {
  CHECK(workload("{image_size: 320x240}").image_width_px == 320);
  const WorkloadSpec square = workload("{image_tokens: 64}");
  CHECK(square.image_width_px == 8 * 28);
  CHECK(square.image_height_px == 8 * 28);
  const WorkloadSpec wide = workload("{image_tokens: 20}");
  CHECK(wide.image_width_px / 28 * (wide.image_height_px / 28) == 20);
  CHECK_THROWS_WITH(workload("{image_tokens: 64, image_size: 28x28}"), Contains("keep one"));
  CHECK_THROWS_WITH(workload("{image_size: 320}"), Contains("WIDTHxHEIGHT"));
}

TEST_CASE("with suites only the outputs are set") {
  const WorkloadSpec spec = workload("{output_tokens: 7}", true);
  CHECK_FALSE(spec.made_up);
  CHECK(spec.output_tokens == 7);
  CHECK_THROWS_WITH(workload("{output_tokens: 7, prompt_groups: 3}", true), Contains("unknown key 'workload.prompt_groups'"));
  CHECK_THROWS_WITH(workload("{output_sigma: 1}", true), Contains("'workload.output_tokens' is missing"));
}

TEST_CASE("a series of groups is ascending, or up to the groups there are") {
  CHECK(scaling("{groups: auto}").empty());
  CHECK(scaling("{groups: [1, 2, 8]}") == std::vector<int>{1, 2, 8});
  CHECK_THROWS_WITH(scaling("{groups: [2, 1]}"), Contains("ascending"));
  CHECK_THROWS_WITH(scaling("{groups: [x]}"), Contains("'x'"));
  CHECK_THROWS_WITH(scaling("{}"), Contains("'scaling.groups' is missing"));
}

TEST_CASE("only throughput jobs have a workload and a series of groups") {
  const Tree tree = parse_yaml("workload: {output_tokens: 7}\nscaling: {groups: auto}\n", "job.yaml");
  Problems problems;
  MapReader reader(&tree, tree.place, "", problems);
  JobSpec job;
  read_throughput(reader, tree.place, false, job, problems);
  CHECK_THROWS_WITH(problems.raise(), Contains("job.yaml:1:11: 'workload' belongs to jobs of 'kind: throughput'") &&
                                          Contains("job.yaml:2:10: 'scaling' belongs to jobs of 'kind: throughput'"));
}

TEST_CASE("ways of judging that a measurement does not have are refused") {
  const auto refused = [](const std::string& yaml, bool made_up) {
    const Tree tree = parse_yaml(yaml, "job.yaml");
    Problems problems;
    MapReader judging(&tree, tree.place, "judging", problems);
    JobSpec job;
    if (made_up) job.workload = WorkloadSpec{};
    refuse_for_throughput(judging, job, problems);
    problems.raise();
  };
  CHECK_THROWS_WITH(refused("{adaptive: on}", false), Contains("'judging.adaptive' has no meaning with kind throughput"));
  CHECK_NOTHROW(refused("{reading: likelihood, votes: 1}", false));
  for (const char* key : {"reading", "expectation", "budget_forcing"}) {
    CHECK_THROWS_WITH(refused(std::string("{") + key + ": 1}", true), Contains(std::string("'judging.") + key + "' does not go with 'workload'"));
  }
}
