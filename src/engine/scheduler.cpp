#include "engine/scheduler.h"

#include <algorithm>

namespace assize::engine {

using backend::kBlockTokens;

Scheduler::Scheduler(const EngineSettings& settings, std::int32_t max_positions, std::int32_t vocab_size)
    : settings_(settings),
      max_positions_(max_positions),
      vocab_size_(vocab_size),
      blocks_(settings.kv_blocks),
      tree_(blocks_, {settings.prefix_sharing, settings.fork}),
      encoder_cache_(settings.embedding_rows) {
  const std::size_t sequences = std::min(settings.slots, settings.step_rows);
  admitted_.reserve(sequences);
  pieces_.reserve(sequences);
  works_.reserve(sequences);
  grouper_.reserve(sequences);
}

// ---- calls in and out ----

void Scheduler::add(Sequence& sequence) {
  sequence.state = SequenceState::waiting;
  sequence.leaf = tree_.insert(sequence.call.input);
  sequence.forked = sequence.leaf->ending > 1;
  enqueue(sequence);
  PrefixTree::count(sequence.leaf, 0, 1);
  count_images(sequence, true);
}

void Scheduler::remove(Sequence& sequence) {
  if (sequence.state == SequenceState::waiting) {
    std::erase(sequence.leaf->queue, &sequence);
    PrefixTree::count(sequence.leaf, 0, -1);
  } else if (sequence.state != SequenceState::failed) {
    dismiss(sequence);
  }
  if (sequence.images_counted) count_images(sequence, false);
  if (alone_ == &sequence) alone_ = nullptr;
  tree_.remove(sequence.leaf);
  sequence.leaf = nullptr;
}

void Scheduler::enqueue(Sequence& sequence) {
  auto& queue = sequence.leaf->queue;
  queue.insert(std::upper_bound(queue.begin(), queue.end(), &sequence,
                                [](const Sequence* a, const Sequence* b) { return a->order < b->order; }),
               &sequence);
}

void Scheduler::dismiss(Sequence& sequence) {
  for (std::size_t i = sequence.shared_blocks; i < sequence.table.size(); ++i) {
    blocks_.release(sequence.table[i]);
  }
  sequence.table.clear();
  sequence.shared_blocks = 0;
  if (sequence.uses_leaf_tail) sequence.leaf->tail_in_use = false;
  sequence.uses_leaf_tail = false;
  std::erase(admitted_, &sequence);
  PrefixTree::count(sequence.leaf, -1, 0);
}

void Scheduler::count_images(Sequence& sequence, bool wanted) {
  for (const model::MediaSpan& span : sequence.call.input->media) {
    const EncoderCache::Key key = picture_key(sequence, span);
    wanted ? encoder_cache_.add_user(key) : encoder_cache_.remove_user(key);
  }
  sequence.images_counted = wanted;
}

EncoderCache::Key Scheduler::picture_key(const Sequence& sequence, const model::MediaSpan& span) const {
  return {span.key, settings_.encoder_cache ? 0 : sequence.order + 1};
}

// ---- the step ----

bool Scheduler::plan(StepWork& work, std::vector<Sequence*>& failed) {
  work.pictures.clear();
  work.copies.clear();
  counters_.calls_in_step = counters_.sampled_in_step = 0;
  // Rows that a picture gave up in the step that read them would be overwritten before they are read.
  for (Sequence* sequence : admitted_) {
    if (sequence->state == SequenceState::generating && sequence->images_counted)
      count_images(*sequence, false);
  }
  do {
    ++step_;
    admit();
    if (admitted_.empty()) return false;
    pieces_.clear();
    rows_ = 0;
    plan_generating(work, failed);
    plan_prefill(work);
    // Prompts that hold all blocks between them and cannot go on.
    if (pieces_.empty() && !admitted_.empty()) make_room(*admitted_.back(), failed);
  } while (pieces_.empty());
  reserve(work);
  emit(work);
  count_step(work);
  return true;
}

void Scheduler::plan_generating(StepWork& work, std::vector<Sequence*>& failed) {
  // make_room takes sequences from the end only.
  for (std::size_t i = 0; i < admitted_.size(); ++i) {
    Sequence& sequence = *admitted_[i];
    if (sequence.state == SequenceState::prefilling && !sequence.leaf->complete()) continue;
    bool has_room = true;
    while (has_room && sequence.state == SequenceState::prefilling && !start_generating(sequence, work)) {
      has_room = make_room(sequence, failed);
    }
    const std::int32_t token = sequence.cached_tokens();
    while (has_room && token >= static_cast<std::int32_t>(sequence.table.size()) * kBlockTokens) {
      const std::int32_t block = blocks_.take();
      if (block < 0) {
        has_room = make_room(sequence, failed);
      } else {
        sequence.table.push_back(block);
      }
    }
    if (!has_room) continue;
    pieces_.push_back({&sequence, {sequence.table, token, 1}});
    ++rows_;
  }
}

/// Forks: from the prompt's blocks to a table with room for the last prompt token. False when a block is
/// missing.
bool Scheduler::start_generating(Sequence& sequence, StepWork& work) {
  PrefixNode& leaf = *sequence.leaf;
  const std::int32_t tokens = sequence.prompt_tokens() - 1;
  const std::int32_t inside = tokens % kBlockTokens;
  const bool in_place = inside > 0 && !leaf.tail_in_use;
  const std::int32_t block = in_place ? -1 : blocks_.take();
  if (!in_place && block < 0) return false;
  write_shared_table(sequence, leaf, tokens);
  if (in_place) {
    leaf.tail_in_use = sequence.uses_leaf_tail = true;
  } else if (inside > 0) {
    work.copies.push_back({sequence.table.back(), block, inside});
    sequence.table.back() = block;
    --sequence.shared_blocks;
  } else {
    sequence.table.push_back(block);
  }
  sequence.state = SequenceState::generating;
  return true;
}

void Scheduler::write_shared_table(Sequence& sequence, const PrefixNode& node, std::int32_t tokens) {
  sequence.shared_blocks = blocks_for(tokens);
  sequence.table.resize(sequence.shared_blocks);
  PrefixTree::write_table(node, tokens, sequence.table);
}

void Scheduler::plan_prefill(StepWork& work) {
  for (Sequence* sequence : admitted_) {
    if (rows_ >= settings_.step_rows) break;
    if (sequence->state == SequenceState::prefilling) plan_prompt(*sequence, work);
  }
}

void Scheduler::plan_prompt(Sequence& sequence, StepWork& work) {
  path_.clear();
  for (PrefixNode* node = sequence.leaf; node->parent; node = node->parent) path_.push_back(node);
  std::reverse(path_.begin(), path_.end());
  // What another call computes in this step can be read in the next.
  if (std::any_of(path_.begin(), path_.end(), [&](const auto* node) { return node->planned_step == step_; }))
    return;
  auto next = std::find_if(path_.begin(), path_.end(), [](const auto* node) { return !node->complete(); });
  if (next == path_.end()) return;
  const std::int32_t begin = (*next)->begin + (*next)->computed;
  std::int32_t at = begin;
  std::int32_t room = settings_.step_rows - rows_;
  const PrefixNode* deepest = nullptr;
  // Nobody else can yet continue behind a node that is completed here, so its child needs no copy.
  while (next != path_.end()) {
    PrefixNode& node = **next;
    const std::int32_t end = extend(sequence, node, at, begin + room, work);
    if (end == at) break;
    deepest = &node;
    at = end;
    if (!node.complete()) break;
    ++next;
  }
  if (!deepest) return;
  write_shared_table(sequence, *deepest, at);
  // The last prompt token follows at once.
  if (next == path_.end() && at < begin + room && start_generating(sequence, work)) ++at;
  pieces_.push_back({&sequence, {sequence.table, begin, at - begin}});
  rows_ += at - begin;
}

/// Computes tokens of a node from `at` on, to `limit` at most: as far as blocks and pictures go. Returns the
/// end.
std::int32_t Scheduler::extend(Sequence& sequence, PrefixNode& node, std::int32_t at, std::int32_t limit,
                               StepWork& work) {
  const std::int32_t wanted = limit_by_pictures(sequence, at, std::min(node.end, limit), work);
  if (wanted == at) return at;
  std::int32_t tokens = tree_.make_blocks(node, wanted - node.begin, work.copies);
  while (node.begin + tokens < wanted && tree_.reclaim_one()) {
    tokens = tree_.make_blocks(node, wanted - node.begin, work.copies);
  }
  if (node.begin + tokens == at) return at;
  node.computed = tokens;
  node.planned_step = step_;
  return node.begin + tokens;
}

/// Requests the pictures of tokens [begin, end); returns the token before which all are there.
std::int32_t Scheduler::limit_by_pictures(Sequence& sequence, std::int32_t begin, std::int32_t end,
                                          StepWork& work) {
  for (const model::MediaSpan& span : sequence.call.input->media) {
    if (span.begin_token >= end || span.begin_token + span.tokens <= begin) continue;
    if (encoder_cache_.request(picture_key(sequence, span), span, step_, work.pictures) < 0) {
      return std::max(begin, span.begin_token);
    }
  }
  return end;
}

}  // namespace assize::engine
