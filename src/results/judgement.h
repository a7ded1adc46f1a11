#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/ids.h"

namespace assize::results {

/// How the generation of a call ended.
enum class Status : std::uint8_t {
  ok = 0,         ///< ended by itself
  truncated = 1,  ///< hit max_new_tokens or the context
  failed = 2,     ///< no usable generation; `error` says why
};

/// One row: a call and what the judge generated for it. Generations are the truth; verdicts are derived.
struct Judgement {
  base::CallKey key;
  base::Hash128 asked;      ///< content hash of what was asked (rendered prompt, media, sampling, model)
  Status status = Status::ok;
  std::string error;        ///< one line, failed rows only
  std::string text;         ///< the generation
  std::vector<std::int32_t> token_ids;
  double sum_logprob = 0;
  std::vector<float> watch_logprobs;  ///< likelihood reading: log-probabilities of the labels
  std::int32_t prompt_tokens = 0;
  // Not part of the results' digest:
  std::int32_t prefilled_tokens = 0;
  std::int32_t group = 0;      ///< worker group that judged it
  double seconds = 0;          ///< from lease to finish
};

}  // namespace assize::results
