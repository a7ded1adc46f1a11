// Which calls are computed, and what gives way when the KV cache is full.
#include <fmt/format.h>

#include <algorithm>

#include "engine/scheduler.h"

namespace assize::engine {

using backend::kBlockTokens;

namespace {

constexpr std::int32_t kFirstGuessTokens = 256;  // expected output before any generation has finished

}  // namespace

bool Scheduler::fits(std::int64_t tokens) const { return blocks_for(tokens) <= blocks_.total(); }

std::int32_t Scheduler::max_tokens(const Sequence& sequence) const {
  return static_cast<std::int32_t>(std::min<std::int64_t>(
      max_positions_, std::int64_t{sequence.prompt_tokens()} + sequence.call.sampling.max_new_tokens));
}

void Scheduler::observe_length(std::int32_t generated_tokens) {
  ++finished_;
  finished_tokens_ += generated_tokens;
}

std::int32_t Scheduler::expected_tokens(const Sequence& sequence) const {
  const std::uint64_t mean = finished_ ? finished_tokens_ / finished_ : kFirstGuessTokens;
  const auto guess = static_cast<std::int32_t>(mean + mean / 4 + 1);
  return std::min(sequence.call.sampling.max_new_tokens,
                  std::max(guess, sequence.generated() + kBlockTokens));
}

std::int64_t Scheduler::missing_blocks(const Sequence& sequence, std::uint64_t mark) {
  std::int64_t missing = 0;
  for (PrefixNode* node = sequence.leaf; node->parent; node = node->parent) {
    if (node->counted == mark) break;  // and so are its ancestors
    node->counted = mark;
    missing += PrefixTree::missing_blocks(*node);
  }
  const std::int32_t all =
      blocks_for(std::min(max_tokens(sequence), sequence.prompt_tokens() + expected_tokens(sequence)));
  const std::int32_t had = sequence.state == SequenceState::generating
                               ? static_cast<std::int32_t>(sequence.table.size())
                               : (sequence.prompt_tokens() - 1) / kBlockTokens;
  return missing + std::max(0, all - had);
}

bool Scheduler::can_admit(const Sequence& sequence) {
  const std::uint64_t mark = ++marks_;
  std::int64_t missing = missing_blocks(sequence, mark);
  for (const Sequence* other : admitted_) missing += missing_blocks(*other, mark);
  return missing <= blocks_.free();
}

Sequence* Scheduler::first_waiting() {
  if (alone_) return alone_->state == SequenceState::waiting ? alone_ : nullptr;
  PrefixNode* node = &tree_.root();
  while (node->queue.empty()) {
    const auto next = std::find_if(node->children.begin(), node->children.end(),
                                   [](const auto& child) { return child->waiting > 0; });
    if (next == node->children.end()) return nullptr;
    node = next->get();
  }
  return node->queue.front();
}

void Scheduler::admit() {
  const std::size_t most = std::min(settings_.slots, settings_.step_rows);
  while (admitted_.size() < most) {
    Sequence* sequence = first_waiting();
    if (!sequence) break;
    if (!admitted_.empty() && !can_admit(*sequence)) {
      ++counters_.waits;
      break;
    }
    std::erase(sequence->leaf->queue, sequence);
    PrefixTree::count(sequence->leaf, 1, -1);
    sequence->state = SequenceState::prefilling;
    sequence->reserve(vocab_size_, max_tokens(*sequence));
    admitted_.push_back(sequence);
  }
}

// ---- memory pressure ----

void Scheduler::evict(Sequence& sequence) {
  if (sequence.state == SequenceState::generating) ++counters_.evictions;
  dismiss(sequence);
  sequence.state = SequenceState::waiting;
  sequence.restart();
  enqueue(sequence);
  PrefixTree::count(sequence.leaf, 0, 1);
  if (!sequence.images_counted) count_images(sequence, true);
}

void Scheduler::run_alone(Sequence& sequence, std::vector<Sequence*>& failed) {
  if (alone_ != &sequence) {
    evict(sequence);
    while (tree_.reclaim_one()) {
    }
    alone_ = &sequence;
    return;
  }
  sequence.generation.error = fmt::format(
      "the KV cache of {} tokens is too small for {} prompt tokens and more than {} generated: give the "
      "judge "
      "more memory or lower max_new_tokens",
      std::int64_t{blocks_.total()} * kBlockTokens, sequence.prompt_tokens(), sequence.generated());
  dismiss(sequence);
  sequence.state = SequenceState::failed;
  alone_ = nullptr;
  failed.push_back(&sequence);
}

bool Scheduler::make_room(Sequence& sequence, std::vector<Sequence*>& failed) {
  if (tree_.reclaim_one()) return true;
  Sequence* latest = admitted_.back();
  if (admitted_.size() == 1) {
    run_alone(*latest, failed);
  } else {
    evict(*latest);
  }
  return latest != &sequence;
}

}  // namespace assize::engine
