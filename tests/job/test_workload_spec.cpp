#include "base/error.h"
#include "job/workload_spec.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::job;
using Catch::Matchers::Contains;

namespace {

WorkloadSpec workload(const std::string& yaml, bool has_suites = false) {
  const Tree tree = parse_yaml(yaml, "job.yaml");
  Problems problems;
  const WorkloadSpec spec = read_workload(&tree, tree.place, has_suites, problems);
  problems.raise();
  return spec;
}

std::vector<int> scaling(const std::string& yaml) {
  const Tree tree = parse_yaml(yaml, "job.yaml");
  Problems problems;
  const auto groups = read_scaling(&tree, tree.place, problems);
  problems.raise();
  return groups;
}

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
