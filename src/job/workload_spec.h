#pragma once

#include "job/reader.h"

namespace assize::job {

/// The workload of a throughput job: prompt groups that all arrive at once. Votes and orders are the job's `judging`.
struct WorkloadSpec {
  bool made_up = true;       ///< false: the prompts are those of the job's suites, only output lengths are set here
  int prompt_groups = 32;
  int prompt_tokens = 384;   ///< of one prompt as the judge sees it, pictures not counted
  int common_tokens = 128;   ///< of these, the first ones, the same in all prompts
  int images = 0;            ///< pictures of one group, different in each group
  int image_width_px = 224;
  int image_height_px = 224;
  int output_tokens = 96;    ///< exactly so many, or their mean
  double output_sigma = 0;   ///< above 0: log-normal with this spread of the logarithm
};

struct JobSpec;

/// Reads the parts that only throughput jobs have from the map of a job: `workload` (beside `suites` only its keys about
/// outputs) and `scaling: {groups: [1, 2, 4]}`, numbers of worker groups to measure with, ascending; `auto` is 1, 2, 4 …
/// up to the groups there are (empty vector).
void read_throughput(MapReader& reader, const Place& parent, bool has_suites, JobSpec& job, Problems& problems);

/// Keys of `judging` that have no meaning for a measurement.
void refuse_for_throughput(MapReader& judging, const JobSpec& job, Problems& problems);

}  // namespace assize::job
