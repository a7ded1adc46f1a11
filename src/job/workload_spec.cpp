#include "job/workload_spec.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "job/job_spec.h"

namespace assize::job {

namespace {

// A picture of 28 x 28 pixels is one token of the judges with vision (patches of 14, 2 x 2 merged).
constexpr int kTokenSidePx = 28;

void read_prompts(MapReader& reader, WorkloadSpec& workload, Problems& problems) {
  reader.get("prompt_groups", workload.prompt_groups, 1, 10'000'000);
  reader.get("prompt_tokens", workload.prompt_tokens, 1, 1 << 20);
  reader.get("common_tokens", workload.common_tokens, 0, 1 << 20);
  reader.get("images", workload.images, 0, 64);
  std::string size;
  reader.get("image_size", size);
  if (!size.empty() && (size == "native" || !parse_image_size(size, workload.image_width_px, workload.image_height_px))) {
    problems.add(reader.place("image_size"), fmt::format("'workload.image_size' is '{}', it must be WIDTHxHEIGHT in pixels, "
                                                         "such as 448x448", size));
  }
  int image_tokens = 0;
  reader.get("image_tokens", image_tokens, 1, 1 << 16);
  if (image_tokens > 0) {
    if (!size.empty()) {
      problems.add(reader.place("image_tokens"), "'workload.image_tokens' and 'workload.image_size' say the same: keep one");
    }
    workload.image_width_px = kTokenSidePx * std::max(1, static_cast<int>(std::lround(std::sqrt(image_tokens))));
    workload.image_height_px =
        kTokenSidePx * std::max(1, static_cast<int>(std::lround(image_tokens * static_cast<double>(kTokenSidePx) /
                                                               workload.image_width_px)));
  }
  if (workload.common_tokens > workload.prompt_tokens) {
    problems.add(reader.place("common_tokens"), fmt::format("'workload.common_tokens' is {}, more than the {} of the whole prompt "
                                                            "('workload.prompt_tokens')",
                                                            workload.common_tokens, workload.prompt_tokens));
  }
}

WorkloadSpec read_workload(const Tree* tree, const Place& parent, bool has_suites, Problems& problems) {
  WorkloadSpec workload;
  workload.made_up = !has_suites;
  MapReader reader(tree, parent, "workload", problems);
  reader.get("output_tokens", workload.output_tokens, 1, 1 << 20);
  reader.get("output_sigma", workload.output_sigma, 0, 4);
  if (has_suites) {
    reader.require("output_tokens");
  } else {
    read_prompts(reader, workload, problems);
  }
  reader.finish();
  return workload;
}

std::vector<int> read_scaling(const Tree* tree, const Place& parent, Problems& problems) {
  std::vector<int> groups;
  MapReader reader(tree, parent, "scaling", problems);
  std::vector<std::string> texts;
  reader.require("groups");
  reader.get("groups", texts);
  reader.finish();
  if (texts.size() == 1 && texts.front() == "auto") return {};
  for (const std::string& text : texts) {
    int number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ptr != text.data() + text.size() || number < 1 ||
        number > 65536 || (!groups.empty() && number <= groups.back())) {
      problems.add(reader.place("groups"), fmt::format("'scaling.groups' holds '{}'; it must be 'auto' or ascending numbers of "
                                                       "worker groups, such as [1, 2, 4]", text));
      break;
    }
    groups.push_back(number);
  }
  return groups;
}

}  // namespace

void read_throughput(MapReader& reader, const Place& parent, bool has_suites, JobSpec& job, Problems& problems) {
  const Tree* workload = reader.take("workload");
  const Tree* scaling = reader.take("scaling");
  if (workload) job.workload = read_workload(workload, parent, has_suites, problems);
  if (scaling) job.scaling = read_scaling(scaling, parent, problems);
  for (const Tree* part : {workload, scaling}) {
    if (part && job.kind != Kind::throughput) {
      problems.add(part->place, fmt::format("'{}' belongs to jobs of 'kind: throughput'", part == workload ? "workload" : "scaling"));
    }
  }
}

void refuse_for_throughput(MapReader& judging, const JobSpec& job, Problems& problems) {
  if (judging.has("adaptive")) {
    problems.add(judging.place("adaptive"), "'judging.adaptive' has no meaning with kind throughput: all calls are known before it starts");
  }
  if (!job.workload) return;
  for (const char* key : {"reading", "expectation", "budget_forcing"}) {
    if (!judging.has(key)) continue;
    problems.add(judging.place(key), fmt::format("'judging.{}' does not go with 'workload', whose outputs have the length that it says", key));
  }
}

}  // namespace assize::job
