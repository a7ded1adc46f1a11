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

/// How the steps of a backend compare with those of the CPU backend. Up to the first near-tie of an item the backend goes its own
/// way; from there on it is led along the CPU's tokens, so that one tie is not counted as all that follows from it.
struct Comparison {
  int items = 0;
  int steps = 0;
  int equal = 0;       ///< steps with the CPU's token
  int near_ties = 0;   ///< steps whose margin is below the tolerance: either token is right
  int led = 0;         ///< steps after the first near-tie of their item
  int different = 0;   ///< steps with another token though the margin is not below the tolerance
  float largest_error = 0;  ///< of the best log-probability, over all steps with the same token

  int determined() const { return steps - near_ties; }

  void add(const std::vector<Step>& ours, const std::vector<Step>& cpu, float tolerance) {
    ++items;
    bool tied = false;
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      const bool same = ours[i].id == cpu[i].id, near_tie = cpu[i].margin() < tolerance;
      ++steps;
      equal += same;
      near_ties += near_tie;
      led += tied;
      different += !same && !near_tie;
      if (same) largest_error = std::max(largest_error, std::abs(ours[i].best - cpu[i].best));
      tied = tied || near_tie;
    }
  }
};

}  // namespace assize::test
