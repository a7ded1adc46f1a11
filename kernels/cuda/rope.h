#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"

namespace assize::kernels::cuda {

/// Keys and values of one layer: value i of entry e of (block, K = 0 or V = 1, kv head) is at
/// layer + block * block_stride + ((kv * kv_heads + head) * kBlockTokens + e) * head_dim + i.
struct KvLayer {
  Bf16* layer = nullptr;
  std::int64_t block_stride =
      0;  ///< in values, a multiple of 8; at least 2 * kv_heads * kBlockTokens * head_dim
  int kv_heads = 0;
  int head_dim = 0;
};

/// Rotary embedding: angle_j = position[component[j]] * inv_freq[j], j < head_dim / 2, in f32; pairs are
/// (j, j + head_dim / 2). Device memory.
struct RopeTables {
  const float* inv_freq = nullptr;          ///< [head_dim / 2]
  const std::uint8_t* component = nullptr;  ///< [head_dim / 2]: 0 = t, 1 = h, 2 = w
  float attention_factor = 1.0f;            ///< on cosines and sines
};

/// qkv [rows, (heads + 2 * kv_heads) * head_dim] = q | k | v. Adds `bias` (one entry per column, f32; may be
/// null), rotates q and k (in place) and writes k and v of row r to entry slots[r] % 64 of block slots[r] /
/// 64 (negative: nowhere). positions [3][rows]. head_dim is a multiple of 16, up to 256.
Status rope_and_store(Bf16* qkv, const float* bias, int rows, int heads, const RopeTables& rope,
                      const std::int32_t* positions, const std::int32_t* slots, const KvLayer& cache,
                      Stream stream);

/// qkv [rows, 3 * heads * head_dim] of an encoder: adds `bias` (may be null) and rotates q and k in place by
/// angles [rows, head_dim / 2] (null: no rotation).
Status rotate_qkv(Bf16* qkv, const float* bias, int rows, int heads, int head_dim, const float* angles,
                  Stream stream);

/// Copies the first `tokens` entries of block `from` to block `to` in `layers` layers that lie
/// `layer_stride` values apart.
Status copy_kv_block(const KvLayer& first_layer, std::int64_t layer_stride, int layers, int from, int to,
                     int tokens, Stream stream);

}  // namespace assize::kernels::cuda
