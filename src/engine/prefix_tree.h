#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/kv_blocks.h"
#include "model/model_input.h"

namespace assize::engine {

struct Sequence;

/// Entries [0, tokens) of KV block `from` copied to block `to` before the step's rows are computed.
struct BlockCopy {
  std::int32_t from = 0;
  std::int32_t to = 0;
  std::int32_t tokens = 0;
};

/// A run of prompt tokens that its members (the unfinished calls whose prompts run through it) share.
struct PrefixNode {
  PrefixNode* parent = nullptr;
  std::vector<std::unique_ptr<PrefixNode>> children;  ///< in order of insertion
  std::shared_ptr<const model::ModelInput> input;     ///< one prompt that runs through this node
  std::int32_t begin = 0;                             ///< it stands for tokens [begin, end) of that prompt
  std::int32_t end = 0;

  std::int32_t computed = 0;         ///< how many of its tokens are in the KV cache
  std::vector<std::int32_t> blocks;  ///< of positions from begin / kBlockTokens * kBlockTokens on
  bool tail_in_use = false;          ///< somebody continues in place behind `end` in the last block
  bool uses_parent_tail = false;     ///< this node is who continues behind the parent's end
  std::uint64_t planned_step = 0;    ///< last step that computes tokens of it

  std::int32_t members = 0;      ///< unfinished calls that run through it
  std::int32_t admitted = 0;     ///< of these, the ones being computed
  std::int32_t ending = 0;       ///< of the members, the ones whose prompt (but for its last token) ends here
  std::vector<Sequence*> queue;  ///< calls that end here and wait for admission, in order of submission
  std::int32_t waiting = 0;      ///< calls waiting here and below
  std::uint64_t counted = 0;     ///< scratch mark of the admission arithmetic

  bool complete() const { return computed == end - begin; }
};

/// What prompts may share. Ablation switches; no effect on results.
struct Sharing {
  bool prefixes = true;  ///< different prompts share what they have in common
  bool forks = true;     ///< equal prompts share all of it
};

/// First token in [from, limit) at which two prompts differ in id, position or medium; `limit` if none. The
/// prompts must agree before `from`. Media are compared by content key and place, tokens one by one: a hash
/// of tokens is never taken for identity.
std::int32_t first_difference(const model::ModelInput& a, const model::ModelInput& b, std::int32_t from,
                              std::int32_t limit);

/// The prompts of all unfinished calls as a radix tree over tokens, with the KV blocks of what is computed. A
/// node lives, with its KV, as long as it has members: the calls are known in advance, so nothing is guessed.
///
/// Blocks before begin / kBlockTokens are the ancestors'. Where a node begins inside a block, it continues in
/// its parent's last block if nobody else does, and in a copy otherwise (copy-on-write).
class PrefixTree {
 public:
  PrefixTree(KvBlocks& blocks, Sharing sharing) : blocks_(blocks), sharing_(sharing) {}

  /// Adds a member whose prompt is all tokens of `input` but the last (which every call computes itself, for
  /// its logits). Returns the node where it ends.
  PrefixNode* insert(std::shared_ptr<const model::ModelInput> input);
  /// Takes a member out again; nodes without members go, and their blocks with them.
  void remove(PrefixNode* leaf);

  /// Makes blocks for the first `tokens` tokens of a node whose ancestors are complete, as far as free blocks
  /// go; returns for how many there are blocks now. Appends the copy that a fork inside a block needs.
  std::int32_t make_blocks(PrefixNode& node, std::int32_t tokens, std::vector<BlockCopy>& copies);
  /// Blocks that computing the rest of the node takes at most.
  static std::int32_t missing_blocks(const PrefixNode& node);

  /// Writes the blocks of tokens [0, tokens) on the path to `node` to table[0 ...]. table must be large
  /// enough.
  static void write_table(const PrefixNode& node, std::int32_t tokens, std::vector<std::int32_t>& table);

  /// Forgets the KV of one node that no admitted call and no computed child needs, the one needed last.
  /// Returns false when there is none.
  bool reclaim_one();

  /// Adds to the counters of all nodes from `leaf` to the root.
  static void count(PrefixNode* leaf, std::int32_t admitted, std::int32_t waiting);
  PrefixNode& root() { return root_; }

 private:
  PrefixNode* split(PrefixNode* node, std::int32_t at);
  PrefixNode* add_child(PrefixNode* parent, std::shared_ptr<const model::ModelInput> input, std::int32_t end);
  void release_blocks(PrefixNode& node);
  PrefixNode* last_reclaimable(PrefixNode& node);

  KvBlocks& blocks_;
  Sharing sharing_;
  PrefixNode root_;
};

}  // namespace assize::engine
