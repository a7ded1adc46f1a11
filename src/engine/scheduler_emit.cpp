// From the pieces of a step to the plan that the model takes.
#include <algorithm>

#include "engine/scheduler.h"

namespace assize::engine {

using backend::kBlockTokens;

/// Room for every step until the next admission.
void Scheduler::reserve(StepWork& work) const {
  model::StepPlan& plan = work.plan;
  const std::size_t rows = settings_.step_rows, sequences = std::min(settings_.slots, settings_.step_rows);
  plan.ids.reserve(rows);
  plan.positions.reserve(3 * rows);
  plan.slots.reserve(rows);
  plan.embedded.reserve(rows);
  plan.samples.reserve(sequences);
  plan.attention.sequences.reserve(sequences);
  plan.attention.shared.reserve(sequences);
  work.sampled.reserve(sequences);
  std::size_t blocks = 0;
  for (const Sequence* sequence : admitted_) blocks += sequence->table.capacity();
  plan.attention.blocks.reserve(blocks);
}

void Scheduler::emit(StepWork& work) {
  model::StepPlan& plan = work.plan;
  // Neighbours share prefixes; the order has no other meaning.
  std::sort(pieces_.begin(), pieces_.end(),
            [](const Piece& a, const Piece& b) { return PrefixGrouper::before(a.work, b.work); });
  plan.ids.clear();
  plan.slots.clear();
  plan.positions.resize(std::size_t{3} * rows_);
  plan.embedded.clear();
  plan.samples.clear();
  plan.attention.sequences.clear();
  plan.attention.blocks.clear();
  plan.attention.shared.clear();
  work.sampled.clear();
  works_.clear();
  for (const Piece& piece : pieces_) {
    Sequence& sequence = *piece.sequence;
    const AttentionWork& attention = piece.work;
    const std::int32_t row_begin = plan.rows();
    const std::int32_t end = attention.context_tokens + attention.row_count;
    plan.attention.sequences.push_back({row_begin, attention.row_count, attention.context_tokens,
                                        static_cast<std::int32_t>(plan.attention.blocks.size())});
    plan.attention.blocks.insert(plan.attention.blocks.end(), attention.table.begin(), attention.table.end());
    works_.push_back(attention);
    for (std::int32_t token = attention.context_tokens; token < end; ++token) emit_row(sequence, token, work);
    emit_pictures(sequence, attention.context_tokens, row_begin, work);
    const std::int32_t prompt_rows = std::min(end, sequence.prompt_tokens()) - attention.context_tokens;
    if (prompt_rows > 0) {
      sequence.generation.prefilled_tokens += prompt_rows;
      counters_.prompt_tokens_computed += prompt_rows;
    }
    if (end >= sequence.prompt_tokens()) emit_sample(sequence, work);
  }
  if (settings_.grouped_attention) grouper_.group(works_, plan.attention.shared);
}

void Scheduler::emit_row(const Sequence& sequence, std::int32_t token, StepWork& work) const {
  model::StepPlan& plan = work.plan;
  const model::ModelInput& input = *sequence.call.input;
  const std::int32_t row = plan.rows();
  const std::int32_t prompt = sequence.prompt_tokens();
  plan.ids.push_back(token < prompt ? input.ids[token] : sequence.generation.ids[token - prompt]);
  plan.slots.push_back(sequence.table[token / kBlockTokens] * kBlockTokens + token % kBlockTokens);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    plan.positions[axis * rows_ + row] =
        token < prompt ? input.positions[axis * prompt + token] : input.next_position + (token - prompt);
  }
}

/// Rows of media tokens take their embeddings from the encoder cache. `begin` is the token of row `row`.
void Scheduler::emit_pictures(const Sequence& sequence, std::int32_t begin, std::int32_t row,
                              StepWork& work) const {
  model::StepPlan& plan = work.plan;
  const std::int32_t end = begin + plan.rows() - row;
  for (const model::MediaSpan& span : sequence.call.input->media) {
    const std::int32_t from = std::max(begin, span.begin_token);
    const std::int32_t to = std::min(end, span.begin_token + span.tokens);
    if (from >= to) continue;
    const std::int32_t first = encoder_cache_.first_row(picture_key(sequence, span));
    for (std::int32_t token = from; token < to; ++token) {
      plan.ids[row + token - begin] = -1;
      plan.embedded.push_back({row + token - begin, first + token - span.begin_token});
    }
  }
}

void Scheduler::emit_sample(Sequence& sequence, StepWork& work) const {
  const Call& call = sequence.call;
  backend::SampleRow sample;
  sample.row = work.plan.rows() - 1;
  sample.temperature = call.sampling.temperature;
  sample.top_p = call.sampling.top_p;
  sample.top_k = call.sampling.top_k;
  sample.repetition_penalty = call.sampling.repetition_penalty;
  sample.noise_stream = call.noise_stream;
  sample.position = static_cast<std::uint32_t>(sequence.draws());
  sample.top_logprobs = call.top_logprobs;
  if (sequence.watches()) sample.watch_ids = call.watch_ids;
  sample.seen_ids = sequence.seen_ids;
  work.plan.samples.push_back(sample);
  work.sampled.push_back(&sequence);
}

void Scheduler::count_step(const StepWork& work) {
  const model::StepPlan& plan = work.plan;
  ++counters_.steps;
  counters_.rows += plan.rows();
  counters_.sampled += plan.samples.size();
  counters_.calls_in_step = static_cast<std::int32_t>(admitted_.size());
  counters_.sampled_in_step = static_cast<std::int32_t>(plan.samples.size());
  for (const AttentionWork& attention : works_) {
    const std::uint64_t context = attention.context_tokens, rows = attention.row_count;
    counters_.attended += rows * context + rows * (rows + 1) / 2;
    counters_.keys_read += context + rows;
  }
  for (const backend::SharedPrefix& shared : plan.attention.shared) {
    counters_.keys_read -= static_cast<std::uint64_t>(shared.sequence_count - 1) * shared.shared_tokens;
  }
  counters_.images_encoded += work.pictures.size();
  for (const PictureToEncode& picture : work.pictures) {
    const auto patches = static_cast<std::uint64_t>(picture.image->rows());
    counters_.patches += patches;
    counters_.patch_pairs += patches * patches;
  }
  counters_.kv_blocks_high_water = blocks_.high_water();
}

}  // namespace assize::engine
