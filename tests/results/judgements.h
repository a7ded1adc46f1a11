#pragma once

#include <string>

#include "results/judgement.h"

namespace assize::support {

/// Judgement number `i` of a made-up run: every field is a function of `i`.
inline results::Judgement judgement_number(int i) {
  results::Judgement j;
  j.key = {"judge", "suite", "sample-" + std::to_string(i), i % 3 ? "" : "helpfulness", {0, 1}, static_cast<std::uint32_t>(i % 5)};
  if (i % 2) j.key.presentation = {1, 0};
  j.asked = base::hash128("asked " + std::to_string(i));
  j.status = static_cast<results::Status>(i % 7 == 6 ? 2 : i % 5 == 4 ? 1 : 0);
  if (j.status == results::Status::failed) j.error = "reason " + std::to_string(i);
  j.text = "<think>text of " + std::to_string(i) + "</think><answer>" + std::to_string(i % 10) + "</answer>";
  for (int t = 0; t < i % 11; ++t) j.token_ids.push_back(i * 100 + t);
  j.sum_logprob = -0.125 * i;
  if (i % 4 == 0) j.watch_logprobs = {-0.5f * static_cast<float>(i), -1.5f};
  j.prompt_tokens = 100 + i;
  j.prefilled_tokens = i % 2 ? 0 : 100 + i;
  j.group = i % 3;
  j.seconds = 0.25 * i;
  return j;
}

inline bool equal(const results::Judgement& a, const results::Judgement& b) {
  return a.key == b.key && a.asked == b.asked && a.status == b.status && a.error == b.error && a.text == b.text &&
         a.token_ids == b.token_ids && a.sum_logprob == b.sum_logprob && a.watch_logprobs == b.watch_logprobs &&
         a.prompt_tokens == b.prompt_tokens && a.prefilled_tokens == b.prefilled_tokens && a.group == b.group &&
         a.seconds == b.seconds;
}

}  // namespace assize::support
