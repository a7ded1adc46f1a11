#pragma once

#include <memory>
#include <string>

#include "app/plan.h"
#include "cluster/judge.h"
#include "media/preprocessor.h"
#include "comm/comm.h"
#include "media/preprocessor.h"
#include "model/config.h"

namespace assize::app {

/// What a rank needs to know beside the job to load its judge.
struct JudgeSetup {
  int ranks_on_node = 1;     ///< worker ranks that share this machine's cores and memory
  int worker_on_node = 0;    ///< index of this rank among them: its GPU
  std::int32_t largest_picture_patches = 0;
  std::int32_t longest_prompt_tokens = 0;  ///< estimate, for the KV budget; 0: unknown
};

/// How the job's judge wants pictures.
media::ImagePreprocessing preprocessing_of(const job::JudgeSpec& judge);

/// Largest picture and longest prompt of a plan, from file headers and text sizes.
JudgeSetup measure(const Plan& plan);

/// KV blocks that the longest call of a job can need.
double longest_call_blocks(const job::JobSpec& job, const model::ModelConfig& config, const JudgeSetup& setup);

/// The image preprocessing of the job's judge. Throws Error as media::read_preprocessing does.
media::ImagePreprocessing preprocessing_of(const job::JudgeSpec& judge);

/// Loads the job's judge as one rank of `group` (a fake judge loads nothing). Throws Error before reading
/// weights when they cannot fit, with the arithmetic.
std::unique_ptr<cluster::Judge> load_judge(const Plan& plan, const JudgeSetup& setup, comm::Comm& group);

}  // namespace assize::app
