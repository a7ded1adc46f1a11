#include <algorithm>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/cost.h"
#include "app/device.h"
#include "app/fake_table.h"
#include "app/plan.h"
#include "app/progress_display.h"
#include "app/scratch_output.h"
#include "base/error.h"
#include "model/model.h"
#include "tensor/safetensors.h"

namespace assize::app {

namespace {


void print_suites(const Plan& plan) {
  fmt::print("\n{:<28}{:<10}{:>9}{:>9}  {}\n", "suite", "protocol", "samples", "calls", "prompt");
  for (const auto& suite : plan.suites) {
    std::size_t unlabelled = 0;
    for (const auto& sample : suite.samples) unlabelled += suite.labelled && sample.human.empty();
    fmt::print("{:<28}{:<10}{:>9}{:>9}  {}{}\n", suite.id, verdict::name(suite.protocol), suite.samples.size(),
               count_calls(plan, suite), suite.prompt.id,
               unlabelled ? fmt::format("  ({} without a human label)", unlabelled) : "");
  }
}

void print_judge(const Plan& plan) {
  const job::JudgeSpec& judge = plan.job.judge;
  if (!judge.fake.empty()) {
    const auto table = load_fake_table(judge.fake);
    fmt::print("judge   {}: a table of answers, {} rows ({})\n", judge.id, table.rows.size(), judge.fake.string());
    return;
  }
  const model::ModelConfig config = model::read_config(judge.path.string());
  const tensor::Checkpoint checkpoint = tensor::Checkpoint::open(judge.path);
  const int ranks = plan.job.parallel.tensor_parallel;
  const backend::Device device = device_of(plan.job);
  const double weights = static_cast<double>(model::estimate_weight_bytes(config, ranks));
  fmt::print("judge   {}: {} layers of {}, {} heads, vocabulary {} ({})\n", judge.id, config.layers, config.hidden, config.heads,
             config.vocab_size, judge.path.string());
  fmt::print("weights {:.2f} GiB a rank at tensor parallel {}, {} tensors; KV cache {:.1f} KiB a token\n", weights / kGibibyte, ranks,
             checkpoint.names().size(), static_cast<double>(model::kv_block_bytes(config, ranks, backend::value_bytes(device))) / backend::kBlockTokens / 1024);
  const bool open = plan.job.parallel.device == job::Device::automatic;
  fmt::print("device  {}: {}{}\n", backend::name(device), backend::numerics(device),
             open ? " (a run on nodes with GPUs takes cuda: bf16)" : "");
  for (const auto& ignored : config.ignored_generation) {
    fmt::print("note    generation_config.json: '{}' is not used; the job says how to sample\n", ignored);
  }

  const Cost cost = estimate_cost(plan);
  fmt::print("work    {:.0f} prompt tokens (votes share them), up to {:.0f} output tokens (512 a call at most counted)\n",
             cost.prompt_tokens, cost.output_tokens);
  fmt::print("cost    {:.3g} TFLOP; about {} core-seconds at {:.0f} GFLOP/s a core (an assumption; measure with a smaller limits.samples)\n",
             cost.flop / 1e12, static_cast<long>(cost.flop / kFlopPerSecondPerCore + 1), kFlopPerSecondPerCore / 1e9);
}

}  // namespace

int check(const std::string& job_file, const std::vector<std::string>& settings, bool only_output) {
  job::JobSpec job = job::load_job(job_file, settings);
  const std::string output = job.output.string();
  if (only_output) {
    fmt::print("{}\n", output);
    return 0;
  }
  const ScratchOutput scratch(job);
  const Plan plan = make_plan(job);
  fmt::print("job     {}\n", job_file);
  print_judge(plan);
  print_suites(plan);
  ItemMaker maker(plan);
  for (std::uint32_t s = 0; s < plan.suites.size(); ++s) maker.make({s, 0, {0}}, 0);
  fmt::print("\n{} calls; output {}\n", count_calls(plan), output);
  return 0;
}

}  // namespace assize::app
