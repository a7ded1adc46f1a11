#include "kernels/cuda/attention_launch.h"
#include "kernels/cuda/attention_tile.cuh"

namespace assize::kernels::cuda {

namespace {

struct PrefillParams {
  const Bf16* q;
  Bf16* out;
  std::int64_t q_stride, out_stride;
  int group;
  float scale;  ///< log2(e) / sqrt(head_dim)
  const PrefillItem* items;
  // Paged keys (causal) ...
  KvLayer cache;
  const std::int32_t* blocks;
  // ... or keys in rows (bidirectional).
  const Bf16 *keys, *values;
  std::int64_t kv_stride;
};

/// Shared memory of one block, in bytes from its start.
template <int kDim>
struct PrefillShape {
  static constexpr int kQuery = 0;
  static constexpr int kKeys = kQuery + Tile<kDim>::kBytes;
  static constexpr int kValues = kKeys + Tile<kDim>::kBytes;
  /// f32 results of the chunks before, [kDim / 2][threads].
  static constexpr int kMerged = kValues + Tile<kDim>::kBytes;
  static constexpr int kRowOfTile = kMerged + kDim / 2 * kAttentionThreads * 4;
  static constexpr int kHeadOfTile = kRowOfTile + kTileRows * 4;
  static constexpr int kBytes = kHeadOfTile + kTileRows * 4;
};

/// Starts the copy of keys or values [first, first + 64) of a kv head; rows at and after `end` become zeros.
template <int kDim, bool kPaged>
__device__ __forceinline__ void load_keys(unsigned char* tile, const PrefillParams& p,
                                          const PrefillItem& item, int kv_head, bool values, int first,
                                          int end) {
  using T = Tile<kDim>;
  const Bf16* base;
  std::int64_t stride;
  if constexpr (kPaged) {
    const std::int64_t block = p.blocks[item.block_begin + first / kBlockTokens];
    base = p.cache.layer + block * p.cache.block_stride +
           static_cast<std::int64_t>((values ? p.cache.kv_heads : 0) + kv_head) * (kBlockTokens * kDim);
    stride = kDim;
  } else {
    base = (values ? p.values : p.keys) + (item.row_begin + first) * p.kv_stride + kv_head * kDim;
    stride = p.kv_stride;
  }
#pragma unroll
  for (int j = 0; j < kTileRows * T::kVectors / kAttentionThreads; ++j) {
    const int i = j * kAttentionThreads + static_cast<int>(threadIdx.x);
    const int row = i / T::kVectors, vector = i % T::kVectors;
    const bool valid = first + row < end;
    copy_async(tile + T::offset(row, vector), base + (valid ? row : 0) * stride + vector * 8, valid);
  }
}

/// Block (item, kv head): 64 flat query rows over all keys they see; warp w has rows 16 w ... 16 w + 15.
template <int kDim, bool kPaged>
__global__ void __launch_bounds__(kAttentionThreads) prefill_kernel(PrefillParams p) {
  using S = PrefillShape<kDim>;
  using T = Tile<kDim>;
  ASSIZE_SHARED(shared);
  unsigned char* const query = shared + S::kQuery;
  unsigned char* const keys = shared + S::kKeys;
  unsigned char* const values = shared + S::kValues;
  float* const before = reinterpret_cast<float*>(shared + S::kMerged) + threadIdx.x;
  int* const row_of_tile = reinterpret_cast<int*>(shared + S::kRowOfTile);
  int* const head_of_tile = reinterpret_cast<int*>(shared + S::kHeadOfTile);

  const PrefillItem item = p.items[blockIdx.y];
  const int kv_head = blockIdx.x;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, g = lane / 4, t = lane % 4;
  const int rows = min(kTileRows, item.row_count * p.group - item.flat_begin);

  // Rows after the last one repeat it; they are not stored.
  if (thread < kTileRows) {
    const int flat = item.flat_begin + min(thread, rows - 1), token = flat / p.group;
    row_of_tile[thread] = token;
    head_of_tile[thread] = kv_head * p.group + (flat - token * p.group);
  }
  __syncthreads();

  const auto keys_of = [&](int row) {
    return kPaged ? item.context_tokens + row_of_tile[row] + 1 : item.row_count;
  };
  const int seen = keys_of(kTileRows - 1), seen_by_all = keys_of(0);
  const int limit[2] = {keys_of(warp * 16 + g), keys_of(warp * 16 + g + 8)};
  const int tiles = (seen + kTileRows - 1) / kTileRows;

#pragma unroll
  for (int j = 0; j < kTileRows * T::kVectors / kAttentionThreads; ++j) {
    const int i = j * kAttentionThreads + thread, row = i / T::kVectors, vector = i % T::kVectors;
    copy_async(query + T::offset(row, vector),
               p.q + (item.row_begin + row_of_tile[row]) * p.q_stride + head_of_tile[row] * kDim + vector * 8,
               true);
  }
  load_keys<kDim, kPaged>(keys, p, item, kv_head, false, 0, seen);
  commit_copies();

  float acc[kDim / 8][4] = {};  // O: rows g and g + 8 of this warp, columns 8 n + 2 t and the next
  RowState state[2];
  MergeState merge[2];

  for (int tile = 0; tile < tiles; ++tile) {
    const int first = tile * kTileRows;
    wait_copies<0>();  // K of this tile (and Q) are here,
    __syncthreads();   // and no warp still reads V of the last one
    load_keys<kDim, kPaged>(values, p, item, kv_head, true, first, seen);
    commit_copies();

    float score[kTileRows / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      std::uint32_t a[4];
      load_matrices(a, query + T::offset(warp * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
      for (int n = 0; n < kTileRows / 16; ++n) {
        std::uint32_t b[4];  // keys 16 n ..., columns 16 k ...: two fragments
        load_matrices(
            b, keys + n * 16 * T::kRowBytes + T::offset(lane % 8 + lane / 16 * 8, k * 2 + lane / 8 % 2));
        multiply(score[2 * n], a, b[0], b[1]);
        multiply(score[2 * n + 1], a, b[2], b[3]);
      }
    }

    if (first + kTileRows > seen_by_all) {
#pragma unroll
      for (int n = 0; n < kTileRows / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          if (first + n * 8 + t * 2 + (i & 1) >= limit[i >> 1]) score[n][i] = -INFINITY;
    }

#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float maximum = state[h].maximum;
#pragma unroll
      for (int n = 0; n < kTileRows / 8; ++n)
        maximum = fmaxf(maximum, fmaxf(score[n][2 * h], score[n][2 * h + 1]));
      maximum = fmaxf(maximum, __shfl_xor_sync(0xffffffffu, maximum, 1));
      maximum = fmaxf(maximum, __shfl_xor_sync(0xffffffffu, maximum, 2));
      const float factor = raise_maximum(state[h], maximum, p.scale);
      const float base = score_base(maximum, p.scale);
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        acc[n][2 * h] *= factor;
        acc[n][2 * h + 1] *= factor;
      }
#pragma unroll
      for (int n = 0; n < kTileRows / 8; ++n) {
        score[n][2 * h] = weight_of(score[n][2 * h], p.scale, base);
        score[n][2 * h + 1] = weight_of(score[n][2 * h + 1], p.scale, base);
      }
    }

    wait_copies<0>();  // V of this tile is here,
    __syncthreads();   // and no warp still reads K
    if (tile + 1 < tiles) load_keys<kDim, kPaged>(keys, p, item, kv_head, false, first + kTileRows, seen);
    commit_copies();

    float sum[4] = {};  // of the weights: a product with ones
#pragma unroll
    for (int k = 0; k < kTileRows / 16; ++k) {
      // The accumulators of two 8-column score tiles are the A fragment of one 16-key step.
      const std::uint32_t a[4] = {
          pack(score[2 * k][0], score[2 * k][1]), pack(score[2 * k][2], score[2 * k][3]),
          pack(score[2 * k + 1][0], score[2 * k + 1][1]), pack(score[2 * k + 1][2], score[2 * k + 1][3])};
      multiply(sum, a, kOnes, kOnes);
#pragma unroll
      for (int n = 0; n < kDim / 16; ++n) {
        std::uint32_t b[4];  // values of keys 16 k ..., columns 16 n ..., transposed
        load_matrices_transposed(b, values + k * 16 * T::kRowBytes + T::offset(lane % 16, n * 2 + lane / 16));
        multiply(acc[2 * n], a, b[0], b[1]);
        multiply(acc[2 * n + 1], a, b[2], b[3]);
      }
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) state[h].sum += sum[2 * h];

    // The end of a chunk: merge with the chunks before and, if another one follows, put the result aside.
    const bool last = tile + 1 == tiles;
    if (last || (tile + 1) % kChunkBlocks == 0) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float maximum = state[h].maximum * p.scale;
        if (tile < kChunkBlocks) {
          merge[h] = {maximum, state[h].sum};
        } else {
          const MergeFactors factors = merge_chunk(merge[h], maximum, state[h].sum);
#pragma unroll
          for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
            for (int i = 2 * h; i < 2 * h + 2; ++i)
              acc[n][i] = merged(before[(n * 4 + i) * kAttentionThreads], acc[n][i], factors);
        }
      }
      if (!last) {
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            before[(n * 4 + i) * kAttentionThreads] = acc[n][i];
            acc[n][i] = 0;
          }
        state[0] = state[1] = RowState();
      }
    }
  }
  wait_copies<0>();

  // Through this warp's own rows of the query tile, to store 16 bytes at a time.
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const float inverse = 1.0f / merge[h].sum;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n)
      *reinterpret_cast<std::uint32_t*>(query + T::offset(warp * 16 + g + h * 8, n) + t * 4) =
          pack(acc[n][2 * h] * inverse, acc[n][2 * h + 1] * inverse);
  }
  __syncwarp();
#pragma unroll
  for (int j = 0; j < 16 * T::kVectors / 32; ++j) {
    const int i = j * 32 + lane, row = warp * 16 + i / T::kVectors, vector = i % T::kVectors;
    if (row < rows)
      *reinterpret_cast<uint4*>(p.out + (item.row_begin + row_of_tile[row]) * p.out_stride +
                                head_of_tile[row] * kDim + vector * 8) =
          *reinterpret_cast<const uint4*>(query + T::offset(row, vector));
  }
}

template <int kDim, bool kPaged>
Status prefill(const PrefillParams& p, int item_count, int kv_heads, Stream stream) {
  return launch(prefill_kernel<kDim, kPaged>, dim3(kv_heads, item_count), kAttentionThreads,
                PrefillShape<kDim>::kBytes, stream, p);
}

}  // namespace

Status attention_prefill(const AttentionArrays& arrays, const PrefillItem* items, int item_count,
                         Stream stream) {
  const int kv_heads = arrays.cache.kv_heads;
  const PrefillParams p{arrays.q,
                        arrays.out,
                        arrays.q_stride,
                        arrays.out_stride,
                        arrays.heads / kv_heads,
                        attention_scale(arrays.cache.head_dim),
                        items,
                        arrays.cache,
                        arrays.blocks,
                        nullptr,
                        nullptr,
                        0};
  return for_head_dim(arrays.cache.head_dim,
                      [&](auto dim) { return prefill<dim, true>(p, item_count, kv_heads, stream); });
}

Status attention_segments(const Bf16* qkv, int heads, int head_dim, const PrefillItem* items, int item_count,
                          Bf16* out, Stream stream) {
  const std::int64_t width = static_cast<std::int64_t>(heads) * head_dim;
  const PrefillParams p{
      qkv, out,     3 * width,   width,           1,        attention_scale(head_dim), items,
      {},  nullptr, qkv + width, qkv + 2 * width, 3 * width};
  return for_head_dim(head_dim, [&](auto dim) { return prefill<dim, false>(p, item_count, heads, stream); });
}

}  // namespace assize::kernels::cuda
