#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/instruction_set.h"

namespace assize::kernels {

/// Tokens of a KV block. One block of one kv head is keys transposed [head_dim][64], then values
/// [64][head_dim], all float.
inline constexpr int kKvBlockTokens = 64;
/// Tokens of a chunk: softmax runs chunk by chunk at absolute positions and the chunks are merged in order.
inline constexpr int kKvChunkTokens = 512;
inline constexpr int kMaxHeadDim = 256;
/// Query rows of one task at most.
inline constexpr int kMaxAttentionRows = 48;
/// Floats of a cache line: the keys of so many tokens share lines in a block, so one thread should write them.
inline constexpr int kLineFloats = 16;
/// Floats from row to row of a task's scores, and of its queries and values: an odd number of cache lines, so that
/// neighbouring rows lie in different sets of the cache.
inline constexpr std::size_t kScoreStride = kKvChunkTokens + kLineFloats, kDimStride = kMaxHeadDim + kLineFloats;

constexpr std::size_t kv_block_floats(int head_dim) {
  return std::size_t{2} * kKvBlockTokens * static_cast<std::size_t>(head_dim);
}

/// Writes key and value [head_dim] of one token to entry `entry` of a block of one kv head.
inline void store_kv(float* block, int entry, const float* key, const float* value, int head_dim) {
  for (int i = 0; i < head_dim; ++i) block[i * kKvBlockTokens + entry] = key[i];
  float* values = block + kKvBlockTokens * head_dim + entry * head_dim;
  for (int i = 0; i < head_dim; ++i) values[i] = value[i];
}

/// Asks for what store_kv will write, into the second-level cache.
inline void prefetch_kv(const float* block, int entry, int head_dim) {
  for (int i = 0; i < head_dim; ++i) __builtin_prefetch(block + i * kKvBlockTokens + entry, 0, 2);
  const float* values = block + kKvBlockTokens * head_dim + entry * head_dim;
  for (int i = 0; i < head_dim; i += kLineFloats) __builtin_prefetch(values + i, 0, 2);
}

/// One query row of one head.
struct AttentionRow {
  const float* q = nullptr;              ///< [head_dim]
  float* out = nullptr;                  ///< [head_dim]
  const std::int32_t* blocks = nullptr;  ///< block ids of its sequence
  std::int32_t keys = 0;                 ///< it sees keys [0, keys)
};

/// Query rows over one kv head.
struct AttentionTask {
  const AttentionRow* rows = nullptr;  ///< in descending order of `keys`; neighbours with the same block read it once
  int row_count = 0;                   ///< 1 .. kMaxAttentionRows
  const float* cache = nullptr;        ///< block b of this kv head is at cache + b * block_stride
  std::size_t block_stride = 0;
  int head_dim = 0;  ///< a multiple of 16, up to kMaxHeadDim
  float scale = 0;   ///< of the scores, above 0
  const float* after = nullptr;  ///< block that will be read after the task, to have it in the cache by then, or null
};

/// Floats of scratch memory one call of `attention` uses, 64-byte aligned.
inline constexpr std::size_t kAttentionScratchFloats =
    std::size_t{kMaxAttentionRows} * (kScoreStride + 3 * kDimStride);

/// out = softmax(q K^T scale) V for each row. The arithmetic of a row is its own: score = fused multiply-add
/// over head_dim in order, times scale; per chunk of 512 keys the maximum, e^(score - maximum), their sum in
/// 16 lanes (key mod 16) and fused multiply-add of values over keys in order; chunks merged in order.
void attention(InstructionSet set, const AttentionTask& task, float* scratch);

}  // namespace assize::kernels
