#include "engine/sequence.h"

#include <algorithm>
#include <numeric>
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
  if (call.sampling.forcing.rounds > 0) logprobs.reserve(new_tokens);
  if (call.sampling.repetition_penalty == 1.0f) return;
  seen_ids.reserve(max_tokens);
  seen.assign(vocab_size, 0);
  note_seen();
}

void Sequence::note_seen() {
  std::fill(seen.begin(), seen.end(), std::uint8_t{0});
  seen_ids.clear();
  for (const auto* ids : std::initializer_list<const std::vector<std::int32_t>*>{&call.input->ids, &generation.ids}) {
    for (const std::int32_t id : *ids) {
      if (!std::exchange(seen[id], 1)) seen_ids.push_back(id);
    }
  }
}

void Sequence::restart() {
  generation.ids.clear();
  generation.text.clear();
  generation.sum_logprob = 0;
  generation.watch_logprobs.clear();
  generation.top_logprobs.clear();
  characters.reset();
  forced.clear();
  logprobs.clear();
  rounds = taken_back = 0;
  watch_at.clear();
}

std::int32_t Sequence::append(const backend::SampleResult& result) {
  if (watches()) {
    auto& watched = generation.watch_logprobs;
    watched.insert(watched.end(), result.watch_logprobs.begin(), result.watch_logprobs.end());
  }
  std::int32_t id = result.id;
  float logprob = result.logprob;
  if (!forced.empty()) {
    id = forced.back();
    logprob = 0;
    forced.pop_back();
  }
  generation.ids.push_back(id);
  generation.sum_logprob += logprob;
  if (call.sampling.forcing.rounds > 0) logprobs.push_back(logprob);
  if (call.top_logprobs > 0) generation.top_logprobs.push_back(result.top_logprobs);
  if (!seen.empty() && !std::exchange(seen[id], 1)) seen_ids.push_back(id);
  return id;
}

void Sequence::go_back(TakeBack&& back) {
  ++rounds;
  taken_back += generated() - static_cast<std::int32_t>(back.kept);
  generation.ids.resize(back.kept);
  logprobs.resize(back.kept);
  generation.sum_logprob = std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
  if (call.top_logprobs > 0) generation.top_logprobs.resize(back.kept);
  while (!watch_at.empty() && watch_at.back() > generated()) watch_at.pop_back();
  const std::size_t watched = watch_at.size() - (watches() && !watch_at.empty());
  if (!call.watch_after.empty()) generation.watch_logprobs.resize(watched * call.watch_ids.size());
  if (!seen.empty()) note_seen();
  forced.assign(back.forced.rbegin(), back.forced.rend());
}

}  // namespace assize::engine
