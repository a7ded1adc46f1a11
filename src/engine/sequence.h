#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "engine/prefix_tree.h"
#include "text/detokenizer.h"

namespace assize::engine {

/// Where a call stands.
enum class SequenceState : std::uint8_t {
  waiting,     ///< not admitted: nothing is computed for it
  prefilling,  ///< admitted, its prompt not yet in the KV cache
  generating,  ///< one row of each step
  failed,      ///< cannot be computed, for the reason in generation.error
};

/// A call inside the engine. Token p of it is the prompt's for p < prompt_tokens(), else the generated token
/// p - prompt_tokens(). The row of the last prompt token is the first that is sampled and is computed by
/// every call itself; what is before it is shared through the prefix tree.
struct Sequence {
  Call call;
  std::uint64_t order = 0;  ///< number of the submission
  SequenceState state = SequenceState::waiting;
  PrefixNode* leaf = nullptr;       ///< where the shared part of its prompt ends
  std::vector<std::int32_t> table;  ///< KV blocks of its tokens so far, shared ones first
  std::int32_t shared_blocks = 0;   ///< entries of `table` that belong to the prefix tree
  bool uses_leaf_tail = false;      ///< goes on in place behind the leaf's end
  bool forked = false;              ///< another call had the same prompt when it came
  bool images_counted = false;      ///< counted as a future user of its pictures

  Generation generation;                        ///< what has been generated so far
  std::optional<text::Detokenizer> characters;  ///< of generation.text; made by the engine at the first token
  std::vector<std::int32_t> seen_ids;           ///< distinct ids so far, for the repetition penalty only
  std::vector<std::uint8_t> seen;               ///< [vocab] 1 for ids in seen_ids
  std::vector<std::int32_t> watch_at;           ///< Call::watch_after: numbers of tokens after which ids are watched
  // Budget forcing only:
  std::vector<std::int32_t> forced;  ///< ids that come next, the first one last
  std::int32_t rounds = 0;           ///< times it went back
  std::int32_t taken_back = 0;       ///< tokens that it gave up in all: no noise is used twice
  std::vector<float> logprobs;       ///< of generation.ids

  /// Makes room for all that it may generate, so that its steps allocate nothing. `vocab_size` is the
  /// model's.
  void reserve(std::int32_t vocab_size, std::int32_t max_tokens);
  /// Makes seen and seen_ids of prompt and generation.
  void note_seen();
  /// Forgets what has been generated.
  void restart();
  /// Takes the token of one step, which gives way to a forced one where there is any. Returns the token.
  std::int32_t append(const backend::SampleResult& result);
  /// Gives up all but the first `back.kept` generated tokens and goes on with the forced ones. The text is left as it
  /// is.
  void go_back(TakeBack&& back);

  std::int32_t prompt_tokens() const { return static_cast<std::int32_t>(call.input->ids.size()); }
  std::int32_t generated() const { return static_cast<std::int32_t>(generation.ids.size()); }
  /// Whether the watched ids are reported with the next token.
  bool watches() const {
    return call.watch_after.empty() ? draws() == 0 : !watch_at.empty() && watch_at.back() == generated();
  }
  /// Number of the next draw of a token, given up ones counted.
  std::int32_t draws() const { return generated() + taken_back; }
  /// Tokens in the KV cache while generating.
  std::int32_t cached_tokens() const { return prompt_tokens() - 1 + generated(); }
};

}  // namespace assize::engine
