#include "engine/sequence.h"

#include <algorithm>
#include <utility>

namespace assize::engine {

namespace {

constexpr std::size_t kTextBytesPerToken = 8;  // room made in advance; longer texts grow

}  // namespace

void Sequence::reserve(std::int32_t vocab_size, std::int32_t max_tokens) {
  table.reserve(blocks_for(max_tokens));
  const auto new_tokens = static_cast<std::size_t>(std::max(0, max_tokens - prompt_tokens()));
  generation.ids.reserve(new_tokens);
  generation.text.reserve(new_tokens * kTextBytesPerToken);
  if (call.sampling.repetition_penalty == 1.0f) return;
  seen.assign(vocab_size, 0);
  seen_ids.clear();
  seen_ids.reserve(max_tokens);
  for (const std::int32_t id : call.input->ids) {
    if (!std::exchange(seen[id], 1)) seen_ids.push_back(id);
  }
}

void Sequence::restart() {
  generation.ids.clear();
  generation.text.clear();
  generation.sum_logprob = 0;
  generation.watch_logprobs.clear();
  generation.top_logprobs.clear();
  characters.reset();
}

void Sequence::append(const backend::SampleResult& result) {
  if (generation.ids.empty()) generation.watch_logprobs = result.watch_logprobs;
  generation.ids.push_back(result.id);
  generation.sum_logprob += result.logprob;
  if (call.top_logprobs > 0) generation.top_logprobs.push_back(result.top_logprobs);
  if (!seen.empty() && !std::exchange(seen[result.id], 1)) seen_ids.push_back(result.id);
}

}  // namespace assize::engine
