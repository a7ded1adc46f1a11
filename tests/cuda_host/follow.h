#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "model/tiny_judge.h"

namespace assize::test {

/// A prompt, where its pictures are, and how many tokens are to come of it.
struct Prompt {
  std::string name;
  std::vector<std::int32_t> ids;
  std::vector<std::array<std::int32_t, 3>> grids;
  std::vector<media::ImagePatches> pictures;
  int tokens = 0;
};

/// A greedy step: the likeliest token and the two largest log-probabilities.
struct Step {
  std::int32_t id = -1;
  float best = 0;
  float second = 0;
  float margin() const { return best - second; }
};

/// The greedy steps of `prompt`. With `forced`, the tokens that follow the prompt are those, and a step says
/// which one the judge would have taken.
inline std::vector<Step> follow(TinyJudge& judge, const Prompt& prompt, std::int32_t& next_block, std::int32_t chunk,
                                const std::vector<Step>* forced = nullptr) {
  std::int32_t row = 0;
  for (const auto& picture : prompt.pictures) {
    judge.tower->encode(picture, judge.embeddings, row);
    row += static_cast<std::int32_t>(picture.tokens());
  }
  auto sequence = make_sequence(judge.config, prompt.ids, prompt.grids);
  std::vector<Step> steps;
  for (int i = 0; i < prompt.tokens; ++i) {
    std::vector<backend::SampleResult> results;
    while (sequence.computed < static_cast<std::int32_t>(sequence.ids.size())) {
      const std::int32_t left = static_cast<std::int32_t>(sequence.ids.size()) - sequence.computed;
      StepBuilder step(next_block);
      step.add(sequence, std::min(left, chunk), left <= chunk);
      for (auto& sample : step.plan().samples) sample.top_logprobs = 2;
      results.assign(left <= chunk ? 1 : 0, {});
      judge.decoder->forward(step.plan(), judge.embeddings, results);
    }
    const auto& result = results.at(0);
    // Ranks are threads, which Catch2's assertions are not made for.
    if (!result.ok || result.top_logprobs.size() != 2 || result.id != result.top_logprobs[0].id) {
      throw std::runtime_error(prompt.name + ": token " + std::to_string(i) + " is not the likeliest of two");
    }
    steps.push_back({result.id, result.top_logprobs[0].logprob, result.top_logprobs[1].logprob});
    sequence.append(forced ? (*forced)[static_cast<std::size_t>(i)].id : result.id);
  }
  return steps;
}

/// How the steps of a backend compare with those of the CPU backend.
struct Comparison {
  int steps = 0;
  int determined = 0;  ///< steps with a margin that bf16 cannot overturn
  int free = 0;        ///< of them before the first near-tie of their prompt: not steered by the CPU's tokens
  int different = 0;   ///< of the determined: another token
  float largest_error = 0;  ///< of the best log-probability, over all steps with the same token

  void add(const std::vector<Step>& ours, const std::vector<Step>& cpu, float tolerance) {
    bool free_run = true;
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      ++steps;
      free_run = free_run && cpu[i].margin() >= tolerance;
      if (ours[i].id == cpu[i].id) largest_error = std::max(largest_error, std::abs(ours[i].best - cpu[i].best));
      if (cpu[i].margin() < tolerance) continue;
      ++determined;
      free += free_run;
      different += ours[i].id != cpu[i].id;
    }
  }
};

}  // namespace assize::test
