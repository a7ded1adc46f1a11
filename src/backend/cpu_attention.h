#pragma once

#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/buffer.h"
#include "backend/thread_pool.h"
#include "kernels/cpu/attention.h"

namespace assize::backend {

/// KV blocks [layer][block][kv head][kernels::kv_block_floats(head_dim)].
struct CpuKvCache : KvCache {
  std::int32_t layers = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  Buffer memory;

  std::size_t block_floats() const {
    return static_cast<std::size_t>(kv_heads) * kernels::kv_block_floats(head_dim);
  }
  /// First float of a layer's block 0.
  float* layer_data(std::int32_t layer) const {
    return memory.floats() +
           static_cast<std::size_t>(layer) * static_cast<std::size_t>(blocks) * block_floats();
  }
};

/// One query token of the step (all its heads).
struct QueryToken {
  std::int32_t row = 0;
  std::int32_t keys = 0;                 ///< it sees keys [0, keys) of its sequence
  const std::int32_t* blocks = nullptr;  ///< block ids of its sequence
};

/// Query tokens [begin, end) that one task takes, descending in `keys`.
struct QueryTile {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// The attention work of an operation, cut into tiles of at most kMaxAttentionRows query rows.
struct QueryTiles {
  std::vector<QueryToken> tokens;
  std::vector<QueryTile> tiles;

  void clear();
  /// Makes tiles of the tokens since `begin`, which are in descending order of `keys`.
  void cut(std::int32_t begin, std::int32_t tile_tokens);
};

/// Tiles of causal attention, at least `wanted_tiles` if there are as many tokens. `group` = query heads of
/// one kv head.
void plan_causal(const AttentionPlan& plan, std::int32_t group, std::int32_t wanted_tiles, QueryTiles& tiles);

/// Tiles of bidirectional attention inside segments that end at `segment_ends`. Each segment gets blocks of
/// its own, numbered from 0: `slots` = the slot of each row, `blocks` = 0, 1, 2, ...; returns how many.
std::int32_t plan_segments(std::span<const std::int32_t> segment_ends, std::vector<std::int32_t>& slots,
                           std::vector<std::int32_t>& blocks, QueryTiles& tiles);

/// Heads of an attention operation and where its rows lie.
struct AttentionShape {
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  const float* q = nullptr;  ///< row r, head h at q + r * q_stride + h * head_dim
  std::size_t q_stride = 0;
  float* out = nullptr;  ///< likewise
  std::size_t out_stride = 0;
};

/// Runs the tiles over `layer` of the cache. `scratch` holds kAttentionScratchFloats for each thread.
void run_attention(kernels::InstructionSet set, const QueryTiles& tiles, const AttentionShape& shape,
                   const CpuKvCache& cache, std::int32_t layer, Buffer& scratch, ThreadPool& pool);

}  // namespace assize::backend
