#include "app/cost.h"

#include <algorithm>

#include "app/judge_setup.h"
#include "model/model.h"
#include "text/tokenizer.h"

namespace assize::app {

namespace {

/// Mean prompt tokens of up to 32 samples of a suite, evenly spaced; pictures count with their tokens.
double mean_prompt_tokens(const Plan& plan, const suite::Suite& suite, const text::Tokenizer& tokenizer, double picture_tokens) {
  ItemMaker maker(plan);
  const std::size_t n = suite.samples.size(), step = std::max<std::size_t>(1, n / 32);
  double tokens = 0;
  std::size_t seen = 0;
  for (std::size_t i = 0; i < n; i += step, ++seen) {
    const auto& sample = suite.samples[i];
    const cluster::WorkPrompt prompt = maker.prompt(suite, sample, call_keys(plan, suite, sample).front());
    tokens += static_cast<double>(tokenizer.encode(prompt.text).size()) + picture_tokens * static_cast<double>(prompt.images.size());
  }
  return seen ? tokens / static_cast<double>(seen) : 0;
}

}  // namespace

Cost estimate_cost(const Plan& plan) {
  Cost cost;
  cost.calls = count_calls(plan);
  const job::JobSpec& job = plan.job;
  if (!job.judge.fake.empty()) return cost;
  const model::ModelConfig config = model::read_config(job.judge.path.string());
  const text::Tokenizer tokenizer = text::Tokenizer::load(job.judge.path / "tokenizer.json");
  const int ranks = job.parallel.tensor_parallel;
  const JudgeSetup setup = measure(plan);
  const int merge = config.vision.merge_size * config.vision.merge_size;
  const double picture_tokens = static_cast<double>(setup.largest_picture_patches) / std::max(1, merge);
  for (const auto& suite : plan.suites) {
    const double mean = mean_prompt_tokens(plan, suite, tokenizer, picture_tokens);
    for (const auto& sample : suite.samples) {
      cost.prompt_tokens += mean * static_cast<double>(prompts_shown(plan, suite, sample).size());
    }
  }
  cost.output_tokens = static_cast<double>(cost.calls) *
                       (job.judging.reading == job::Reading::likelihood ? 1 : std::min(job.sampling.max_new_tokens, 512));
  cost.weight_bytes = static_cast<double>(model::estimate_weight_bytes(config, ranks));
  cost.kv_bytes = longest_call_blocks(job, config, setup) * static_cast<double>(model::kv_block_bytes(config, ranks));
  // Two operations a weight and token; weights stored in two bytes.
  cost.flop = (cost.prompt_tokens + cost.output_tokens) * cost.weight_bytes * ranks;
  return cost;
}

}  // namespace assize::app
