#include <algorithm>
#include <optional>

#include "app/plan.h"
#include "base/hash.h"
#include "text/tokenizer.h"
#include "throughput/workload.h"

namespace assize::app {

namespace {

/// Tokens that the chat format and the wording of a made-up prompt have around its texts.
std::size_t frame_tokens(const Plan& plan, const throughput::CountTokens& count) {
  Plan frame = plan;
  job::WorkloadSpec least;
  least.prompt_groups = least.prompt_tokens = least.common_tokens = 1;
  frame.suites = {throughput::make_workload(least, 0, 0, count, {})};
  const suite::Suite& suite = frame.suites.front();
  const suite::Sample& sample = suite.samples.front();
  std::size_t texts = count(suite.prompt.system) + count(sample.question);
  for (const auto& candidate : sample.candidates) texts += count(candidate.text);
  const std::size_t whole = count(ItemMaker(frame).prompt(suite, sample, call_keys(frame, suite, sample).front()).text.plain());
  return whole - std::min(whole, texts);
}

suite::Suite made_up_suite(const Plan& plan) {
  std::optional<text::Tokenizer> tokenizer;
  if (plan.job.judge.fake.empty()) tokenizer = text::Tokenizer::load(plan.job.judge.path / "tokenizer.json");
  const throughput::CountTokens count = [&](const std::string& text) {
    return tokenizer ? tokenizer->encode(text, text::SpecialTokens::parse).size() : (text.size() + 3) / 4;
  };
  return throughput::make_workload(*plan.job.workload, plan.job.judging.seed, frame_tokens(plan, count), count,
                                   plan.job.output / "media");
}

}  // namespace

Plan make_plan(const job::JobSpec& job) {
  Plan plan;
  plan.job = job;
  plan.chat = chat_style(job.judge);
  // Outputs of one length need no more KV memory than that.
  if (job.workload && job.workload->output_sigma == 0) {
    plan.job.sampling.max_new_tokens = std::min(job.sampling.max_new_tokens, job.workload->output_tokens);
  }
  if (job.workload && job.workload->made_up) {
    plan.suites = {made_up_suite(plan)};
  } else {
    plan.suites = load_suites(job);
  }
  return plan;
}

}  // namespace assize::app
