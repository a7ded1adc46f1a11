#include "kernels/cuda/attention_launch.h"
#include "kernels/cuda/attention_tile.cuh"

namespace assize::kernels::cuda {

namespace {

struct DecodeParams {
  const Bf16* q;
  Bf16* out;
  std::int64_t q_stride, out_stride;
  int group;
  float scale;  ///< log2(e) / sqrt(head_dim)
  const DecodeColumn* columns;
  const DecodeItem* items;
  KvLayer cache;
  const std::int32_t* blocks;
  float* partial_values;  ///< [partials][kv_heads][kDecodeHeads][head_dim]
  float* partial_stats;   ///< [partials][kv_heads][kDecodeHeads]{maximum in log2, sum}
};

/// Tiles of an item at most: the shared ones and those of each column.
constexpr int kMaxTiles = kChunkBlocks * (kDecodeColumns + 1);
constexpr int kBuffers = 3;
constexpr int kWarps = kAttentionThreads / 32;
/// Weights of up to 64 columns by 64 keys.
using WeightTile = Tile<64>;

/// Shared memory of one block, in bytes from its start; columns are padded to whole tiles of eight heads.
template <int kDim>
struct DecodeShape {
  static constexpr int kBuffer = 0;
  static constexpr int kTileBlock = kBuffer + kBuffers * Tile<kDim>::kBytes;
  static constexpr int kTileColumn = kTileBlock + kMaxTiles * 4;
  static constexpr int kTileNumber = kTileColumn + kMaxTiles * 4;
  static constexpr int kMaxima = kTileNumber + kMaxTiles * 4;
  static constexpr int kQuery = (kMaxima + kWarps * kDecodeColumns * kDecodeHeads * 4 + 127) / 128 * 128;
  static __host__ __device__ constexpr int weights(int columns) {
    return kQuery + columns * kDecodeHeads * Tile<kDim>::kRowBytes;
  }
  static constexpr int bytes(int columns) {
    return (weights(columns) + 127) / 128 * 128 + columns * kDecodeHeads * WeightTile::kRowBytes;
  }
};

/// Starts the copy of the keys or values of one block's kv head; rows at and after `end` become zeros.
template <int kDim>
__device__ __forceinline__ void load_block(unsigned char* tile, const DecodeParams& p, std::int64_t block,
                                           int kv_head, bool values, int end) {
  using T = Tile<kDim>;
  const Bf16* base =
      p.cache.layer + block * p.cache.block_stride +
      static_cast<std::int64_t>((values ? p.cache.kv_heads : 0) + kv_head) * (kBlockTokens * kDim);
#pragma unroll
  for (int j = 0; j < kTileRows * T::kVectors / kAttentionThreads; ++j) {
    const int i = j * kAttentionThreads + static_cast<int>(threadIdx.x);
    const int row = i / T::kVectors, vector = i % T::kVectors;
    copy_async(tile + T::offset(row, vector), base + i * 8, row < end);
  }
}

/// Block (item, kv head). Scores are K Q^T: warp w has keys 16 w ... 16 w + 15 of a tile, all columns;
/// results are V^T P^T: warp w has values 16 w ..., 16 (w + 4) ... of all columns. A column is eight heads of
/// one token. kColumns: as many as an item has, or more.
template <int kDim, int kColumns>
__global__ void __launch_bounds__(kAttentionThreads) decode_kernel(DecodeParams p) {
  using S = DecodeShape<kDim>;
  using T = Tile<kDim>;
  constexpr int kParts = (kDim / 16 + kWarps - 1) / kWarps;  // 16-value parts of a warp
  ASSIZE_SHARED(shared);
  unsigned char* const query = shared + S::kQuery;
  unsigned char* const weights = shared + (S::weights(kColumns) + 127) / 128 * 128;
  int* const tile_block = reinterpret_cast<int*>(shared + S::kTileBlock);
  int* const tile_column = reinterpret_cast<int*>(shared + S::kTileColumn);
  int* const tile_number = reinterpret_cast<int*>(shared + S::kTileNumber);
  float* const maxima = reinterpret_cast<float*>(shared + S::kMaxima);

  const DecodeItem item = p.items[blockIdx.x];
  const DecodeColumn* const columns = p.columns + item.column_begin;
  const int kv_head = blockIdx.y, chunk_begin = item.chunk * kChunkTokens;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, g = lane / 4, t = lane % 4;

  // The list of tiles: shared ones for all columns (column -1), then the rest of each column.
  int tiles = item.shared_blocks;
  {
    const int column = thread / kChunkBlocks - 1, number = thread % kChunkBlocks;
    int at = -1;
    if (column < 0) {
      if (number < item.shared_blocks) at = number;
    }
    for (int c = 0; c < item.column_count; ++c) {
      const int own = min(kChunkBlocks, (columns[c].keys - chunk_begin + kBlockTokens - 1) / kBlockTokens);
      if (c == column && number >= item.shared_blocks && number < own)
        at = tiles + number - item.shared_blocks;
      tiles += own - item.shared_blocks;
    }
    if (at >= 0) {
      tile_block[at] = p.blocks[columns[max(column, 0)].block_begin + item.chunk * kChunkBlocks + number];
      tile_column[at] = column;
      tile_number[at] = number;
    }
  }
  __syncthreads();

  const auto load_unit = [&](int unit) {  // keys and values of the tiles take turns
    const int tile = unit / 2;
    if (tile < tiles) {
      const int column = tile_column[tile];
      const int end =
          column < 0 ? kTileRows : columns[column].keys - chunk_begin - tile_number[tile] * kTileRows;
      load_block<kDim>(shared + S::kBuffer + unit % kBuffers * T::kBytes, p, tile_block[tile], kv_head,
                       unit % 2, end);
    }
    commit_copies();
  };

  // Heads and columns that are not there are zeros.
  for (int i = thread; i < kColumns * kDecodeHeads * T::kVectors; i += kAttentionThreads) {
    const int row = i / T::kVectors, vector = i % T::kVectors, head = row % kDecodeHeads;
    const DecodeColumn column = columns[min(row / kDecodeHeads, item.column_count - 1)];
    const bool valid = row / kDecodeHeads < item.column_count && column.head_begin + head < p.group;
    copy_async(query + T::offset(row, vector),
               p.q + column.row * p.q_stride +
                   (kv_head * p.group + column.head_begin + (valid ? head : 0)) * kDim + vector * 8,
               valid);
  }
  load_unit(0);
  load_unit(1);

  // Of column tile n: values g and g + 8 of a 16-value part, heads 2 t and 2 t + 1.
  float acc[kColumns][kParts][4] = {};
  RowState state[kColumns][2];

  // `all`: a tile of all columns, without a branch between them, so that they go forward together; else one of
  // column `active` alone.
  const auto take_tile = [&](auto all, int tile, int active) {
    constexpr bool kAll = decltype(all)::value;
    const auto on = [&](int n) { return kAll || n == active; };
    wait_copies<1>();  // K of this tile (and Q) are here,
    __syncthreads();   // and no warp still reads the buffer of the V before
    load_unit(2 * tile + 2);

    const unsigned char* const keys = shared + S::kBuffer + 2 * tile % kBuffers * T::kBytes;
    float score[kColumns][4] = {};  // keys g and g + 8 of this warp, heads 2 t and 2 t + 1
#pragma unroll
    for (int k = 0; k < kDim / 16; k += 2) {
      std::uint32_t a[2][4];
#pragma unroll
      for (int j = 0; j < 2; ++j)
        if (k + j < kDim / 16)
          load_matrices(a[j], keys + T::offset(warp * 16 + lane % 16, (k + j) * 2 + lane / 16));
#pragma unroll
      for (int n = 0; n < kColumns; ++n)
        if (on(n)) {
          std::uint32_t b[4];  // two 16-value steps; behind the last one its second half again
          load_matrices(b, query + n * kDecodeHeads * T::kRowBytes +
                               T::offset(lane % 8, min(k * 2 + lane / 8, T::kVectors - 1)));
          multiply(score[n], a[0], b[0], b[1]);
          if (k + 1 < kDim / 16) multiply(score[n], a[1], b[2], b[3]);
        }
    }

    const int limit =
        active < 0 ? kTileRows : columns[active].keys - chunk_begin - tile_number[tile] * kTileRows;
#pragma unroll
    for (int n = 0; n < kColumns; ++n)
      if (on(n)) {
#pragma unroll
        for (int i = 0; i < 4; ++i)
          if (warp * 16 + g + 8 * (i >> 1) >= limit) score[n][i] = -INFINITY;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float maximum = fmaxf(score[n][i], score[n][2 + i]);
#pragma unroll
          for (int distance = 4; distance < 32; distance *= 2)
            maximum = fmaxf(maximum, __shfl_xor_sync(0xffffffffu, maximum, distance));
          if (g == 0) maxima[(warp * kColumns + n) * kDecodeHeads + t * 2 + i] = maximum;
        }
      }
    __syncthreads();  // the maxima of all warps are here

#pragma unroll
    for (int n = 0; n < kColumns; ++n)
      if (on(n)) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float maximum = state[n][i].maximum;
#pragma unroll
          for (int w = 0; w < kWarps; ++w)
            maximum = fmaxf(maximum, maxima[(w * kColumns + n) * kDecodeHeads + t * 2 + i]);
          const float factor = raise_maximum(state[n][i], maximum, p.scale);
          const float base = score_base(maximum, p.scale);
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            const int key = warp * 16 + g + 8 * h;
            *reinterpret_cast<Bf16*>(weights + n * kDecodeHeads * WeightTile::kRowBytes +
                                     WeightTile::offset(t * 2 + i, key / 8) + key % 8 * 2) =
                to_bf16(weight_of(score[n][2 * h + i], p.scale, base));
          }
#pragma unroll
          for (int m = 0; m < kParts; ++m) {
            acc[n][m][i] *= factor;
            acc[n][m][2 + i] *= factor;
          }
        }
      }

    wait_copies<1>();  // V of this tile is here,
    __syncthreads();   // the weights too, and no warp still reads K
    load_unit(2 * tile + 3);

    const unsigned char* const values = shared + S::kBuffer + (2 * tile + 1) % kBuffers * T::kBytes;
    const std::uint32_t ones[4] = {kOnes, kOnes, kOnes, kOnes};
    std::uint32_t a[kParts][kTileRows / 16][4];  // V^T
#pragma unroll
    for (int m = 0; m < kParts; ++m)
#pragma unroll
      for (int k = 0; k < kTileRows / 16; ++k)
        if (m * kWarps + warp < kDim / 16)
          load_matrices_transposed(
              a[m][k], values + k * 16 * T::kRowBytes +
                           T::offset(lane % 8 + lane / 16 * 8, (m * kWarps + warp) * 2 + lane / 8 % 2));
#pragma unroll
    for (int n = 0; n < kColumns; ++n)
      if (on(n)) {
        float sum[4] = {};  // of the weights: a product with ones
#pragma unroll
        for (int k = 0; k < kTileRows / 16; k += 2) {
          std::uint32_t b[4];  // weights of two 16-key steps
          load_matrices(b, weights + n * kDecodeHeads * WeightTile::kRowBytes +
                               WeightTile::offset(lane % 8, k * 2 + lane / 8));
          multiply(sum, ones, b[0], b[1]);
          multiply(sum, ones, b[2], b[3]);
#pragma unroll
          for (int m = 0; m < kParts; ++m)
            if (m * kWarps + warp < kDim / 16) {
              multiply(acc[n][m], a[m][k], b[0], b[1]);
              multiply(acc[n][m], a[m][k + 1], b[2], b[3]);
            }
        }
        state[n][0].sum += sum[0];
        state[n][1].sum += sum[1];
      }
  };
  for (int tile = 0; tile < tiles; ++tile) {
    const int active = tile_column[tile];
    if (kColumns == 1 || active < 0) {
      take_tile(std::true_type(), tile, active);
    } else {
      take_tile(std::false_type(), tile, active);
    }
  }
  wait_copies<0>();

#pragma unroll
  for (int n = 0; n < kColumns; ++n)
    if (n < item.column_count) {
      const std::int64_t partial = columns[n].partial_begin + item.chunk;
      const std::int64_t at = (partial * p.cache.kv_heads + kv_head) * kDecodeHeads;
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const std::int64_t head = at + t * 2 + i;
#pragma unroll
        for (int m = 0; m < kParts; ++m)
          if (m * kWarps + warp < kDim / 16) {
            float* const values = p.partial_values + head * kDim + (m * kWarps + warp) * 16 + g;
            values[0] = acc[n][m][i];
            values[8] = acc[n][m][2 + i];
          }
        if (warp == 0 && g == 0) {
          p.partial_stats[head * 2] = state[n][i].maximum * p.scale;
          p.partial_stats[head * 2 + 1] = state[n][i].sum;
        }
      }
    }
}

/// Block (column, kv head): warp h merges the chunks of head h in order.
template <int kDim>
__global__ void __launch_bounds__(kDecodeHeads * 32) merge_kernel(DecodeParams p) {
  constexpr int kValues = (kDim + 31) / 32;
  const DecodeColumn column = p.columns[blockIdx.x];
  const int kv_head = blockIdx.y, lane = threadIdx.x % 32, head = threadIdx.x / 32;
  if (column.head_begin + head >= p.group) return;  // no barrier follows; a warp leaves as a whole
  const int chunks = (column.keys + kChunkTokens - 1) / kChunkTokens;
  float acc[kValues] = {};
  MergeState state{};
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t at =
        (static_cast<std::int64_t>(column.partial_begin + chunk) * p.cache.kv_heads + kv_head) *
            kDecodeHeads +
        head;
    const float maximum = p.partial_stats[at * 2], sum = p.partial_stats[at * 2 + 1];
    MergeFactors factors{};
    if (chunk == 0) {
      state = {maximum, sum};
    } else {
      factors = merge_chunk(state, maximum, sum);
    }
#pragma unroll
    for (int j = 0; j < kValues; ++j)
      if (j * 32 + lane < kDim) {
        const float value = p.partial_values[at * kDim + j * 32 + lane];
        acc[j] = chunk == 0 ? value : merged(acc[j], value, factors);
      }
  }
  const float inverse = 1.0f / state.sum;
  Bf16* const out = p.out + column.row * p.out_stride + (kv_head * p.group + column.head_begin + head) * kDim;
#pragma unroll
  for (int j = 0; j < kValues; ++j)
    if (j * 32 + lane < kDim) out[j * 32 + lane] = to_bf16(acc[j] * inverse);
}

}  // namespace

Status attention_decode(const AttentionArrays& arrays, const DecodeColumn* columns, int column_count,
                        const DecodeItem* items, int item_count, int max_columns, std::int32_t partials,
                        float* workspace, Stream stream) {
  const int kv_heads = arrays.cache.kv_heads, head_dim = arrays.cache.head_dim;
  const DecodeParams p{arrays.q,
                       arrays.out,
                       arrays.q_stride,
                       arrays.out_stride,
                       arrays.heads / kv_heads,
                       attention_scale(head_dim),
                       columns,
                       items,
                       arrays.cache,
                       arrays.blocks,
                       workspace,
                       workspace + std::int64_t{partials} * kv_heads * kDecodeHeads * head_dim};
  return for_head_dim(head_dim, [&](auto dim) -> Status {
    const auto decode = [&](auto columns) {
      return launch(decode_kernel<dim, columns>, dim3(item_count, kv_heads), kAttentionThreads,
                    DecodeShape<dim>::bytes(columns), stream, p);
    };
    const Status status = max_columns <= 1   ? decode(std::integral_constant<int, 1>())
                          : max_columns <= 2 ? decode(std::integral_constant<int, 2>())
                          : max_columns <= 4 ? decode(std::integral_constant<int, 4>())
                                             : decode(std::integral_constant<int, kDecodeColumns>());
    if (status) return status;
    return launch(merge_kernel<dim>, dim3(column_count, kv_heads), kDecodeHeads * 32, 0, stream, p);
  });
}

}  // namespace assize::kernels::cuda
