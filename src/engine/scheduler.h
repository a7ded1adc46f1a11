#pragma once

#include <cstdint>
#include <vector>

#include "engine/attention_order.h"
#include "engine/counters.h"
#include "engine/encoder_cache.h"
#include "engine/kv_blocks.h"
#include "engine/prefix_tree.h"
#include "engine/sequence.h"
#include "model/model.h"

namespace assize::engine {

/// All that one step does on the model, in this order: pictures, copies, forward.
struct StepWork {
  std::vector<PictureToEncode> pictures;
  std::vector<BlockCopy> copies;
  model::StepPlan plan;
  std::vector<Sequence*> sampled;  ///< whose next token plan.samples[i] is
};

/// Decides what is computed in each step. Host bookkeeping without a device: what it does depends on the
/// calls and their order only.
///
/// Calls are admitted in the order of the prefix tree (depth first, children in order of arrival), so that
/// calls with common prefixes run together, while their prompts and expected outputs fit the KV cache. A step
/// holds one row for each generating call, then chunks of prompts. A prefix that one call computes, others
/// wait for. When blocks run out, prefixes nobody computes on go first, then the latest admitted call starts
/// again from its fork. A call that is alone and still finds no block runs once more with the cache to
/// itself, so that only its own length decides whether it fits.
class Scheduler {
 public:
  /// `max_positions`: most tokens of a sequence; `vocab_size`: ids of the model.
  Scheduler(const EngineSettings& settings, std::int32_t max_positions, std::int32_t vocab_size);

  /// Takes a call in. Its prompt must not be empty and must fit (see `fits`). `sequence` must stay where it
  /// is until it is removed.
  void add(Sequence& sequence);
  /// Takes out a call in any state and frees what it holds.
  void remove(Sequence& sequence);

  /// Plans the next step into `work` (emptied first). Returns false when there is nothing to compute. Calls
  /// that can never fit turn `failed` and are appended to `failed`; they have not been removed.
  bool plan(StepWork& work, std::vector<Sequence*>& failed);
  /// Learns from a finished generation how long outputs are.
  void observe_length(std::int32_t generated_tokens);

  /// Whether the KV cache could hold this many tokens.
  bool fits(std::int64_t tokens) const;
  const KvBlocks& blocks() const { return blocks_; }
  /// What the plans so far compute; the engine adds what it knows of the calls.
  const EngineCounters& counters() const { return counters_; }
  EngineCounters& counters() { return counters_; }

 private:
  /// Rows of one sequence in the step being planned.
  struct Piece {
    Sequence* sequence = nullptr;
    AttentionWork work;
  };

  // admission
  void admit();
  bool can_admit(const Sequence& sequence);
  Sequence* first_waiting();
  std::int64_t missing_blocks(const Sequence& sequence, std::uint64_t mark);
  std::int32_t expected_tokens(const Sequence& sequence) const;
  std::int32_t max_tokens(const Sequence& sequence) const;
  // what the step computes
  void plan_generating(StepWork& work, std::vector<Sequence*>& failed);
  void plan_prefill(StepWork& work);
  void plan_prompt(Sequence& sequence, StepWork& work);
  std::int32_t extend(Sequence& sequence, PrefixNode& node, std::int32_t at, std::int32_t room,
                      StepWork& work);
  bool start_generating(Sequence& sequence, StepWork& work);
  static void write_shared_table(Sequence& sequence, const PrefixNode& node, std::int32_t tokens);
  std::int32_t limit_by_pictures(Sequence& sequence, std::int32_t begin, std::int32_t end, StepWork& work);
  void reserve(StepWork& work) const;
  void emit(StepWork& work);
  void emit_row(const Sequence& sequence, std::int32_t token, StepWork& work) const;
  void emit_pictures(const Sequence& sequence, std::int32_t begin, std::int32_t row, StepWork& work) const;
  void emit_sample(Sequence& sequence, StepWork& work) const;
  void count_step(const StepWork& work);
  // pressure
  bool make_room(Sequence& sequence, std::vector<Sequence*>& failed);
  void run_alone(Sequence& sequence, std::vector<Sequence*>& failed);
  void evict(Sequence& sequence);
  void dismiss(Sequence& sequence);
  void enqueue(Sequence& sequence);
  void count_images(Sequence& sequence, bool wanted);
  EncoderCache::Key picture_key(const Sequence& sequence, const model::MediaSpan& span) const;

  EngineSettings settings_;
  std::int32_t max_positions_;
  std::int32_t vocab_size_;
  KvBlocks blocks_;
  PrefixTree tree_;
  EncoderCache encoder_cache_;
  PrefixGrouper grouper_;

  std::vector<Sequence*> admitted_;  ///< in order of admission
  Sequence* alone_ = nullptr;        ///< has the cache to itself
  std::vector<Piece> pieces_;        ///< of the step being planned
  std::vector<AttentionWork> works_;
  std::vector<PrefixNode*> path_;  ///< scratch: root first
  std::int32_t rows_ = 0;          ///< of the step being planned
  std::uint64_t step_ = 0;
  std::uint64_t marks_ = 0;
  EngineCounters counters_;
  std::uint64_t finished_ = 0;         ///< generations seen by observe_length
  std::uint64_t finished_tokens_ = 0;  ///< their tokens
};

}  // namespace assize::engine
