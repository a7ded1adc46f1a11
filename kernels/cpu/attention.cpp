#include "kernels/cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// clang-format off
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace assize::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

/// Rows of a register tile at most.
inline constexpr int kTileRows = 6;
/// Vectors across of a tile: more of them where there are few rows, because an accumulator waits for itself.
constexpr int tile_vectors(int rows) { return HWY_TARGET == HWY_AVX3 ? 4 : rows == 1 ? 8 : rows <= 3 ? 4 : 2; }

enum class Start { zero, stored };

/// c[r][0 .. V * kLanes) (+)= sum over k of a[r][k] b[k][..]: one accumulator per element, k in order.
template <int R, int V, std::size_t kStrideA, Start kStart>
HWY_INLINE HWY_ATTR void multiply(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b,
                                  std::size_t stride_b, int count, float* HWY_RESTRICT c,
                                  std::size_t stride_c) {
  const F32Tag d;
  Accumulators<R, V> sum;
  each_sum(sum, stride_c, [&](F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { s = kStart == Start::zero ? hn::Zero(d) : hn::LoadU(d, c + at); });
  const auto x = [&](int r) ASSIZE_INLINE_LAMBDA { return hn::Set(d, a[static_cast<std::size_t>(r) * kStrideA]); };
  const auto w = [&](int v) ASSIZE_INLINE_LAMBDA { return hn::LoadU(d, b + static_cast<std::size_t>(v) * kLanes); };
  for (int k = 0; k < count; ++k, ++a, b += stride_b) rank_one(sum, x, w);
  each_sum(sum, stride_c, [&](const F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { hn::StoreU(s, d, c + at); });
}

/// The same over `columns`, a multiple of 16.
template <int R, std::size_t kStrideA, Start kStart>
HWY_ATTR void multiply_columns(const float* a, const float* b, std::size_t stride_b, int count, float* c,
                               std::size_t stride_c, int columns) {
  constexpr int kVectors = tile_vectors(R), kWide = kVectors * static_cast<int>(kLanes);
  int column = 0;
  for (; column + kWide <= columns; column += kWide)
    multiply<R, kVectors, kStrideA, kStart>(a, b + column, stride_b, count, c + column, stride_c);
  if constexpr (kVectors > 2)
    for (; column + 16 <= columns; column += 16)
      multiply<R, 16 / static_cast<int>(kLanes), kStrideA, kStart>(a, b + column, stride_b, count, c + column, stride_c);
  for (; column < columns; column += static_cast<int>(kLanes))
    multiply<R, 1, kStrideA, kStart>(a, b + column, stride_b, count, c + column, stride_c);
}

template <std::size_t kStrideA, Start kStart>
HWY_ATTR void multiply_rows(int rows, const float* a, const float* b, std::size_t stride_b, int count,
                            float* c, std::size_t stride_c, int columns) {
  switch (rows) {
    case 1:
      return multiply_columns<1, kStrideA, kStart>(a, b, stride_b, count, c, stride_c, columns);
    case 2:
      return multiply_columns<2, kStrideA, kStart>(a, b, stride_b, count, c, stride_c, columns);
    case 3:
      return multiply_columns<3, kStrideA, kStart>(a, b, stride_b, count, c, stride_c, columns);
    case 4:
      return multiply_columns<4, kStrideA, kStart>(a, b, stride_b, count, c, stride_c, columns);
    case 5:
      return multiply_columns<5, kStrideA, kStart>(a, b, stride_b, count, c, stride_c, columns);
    default:
      return multiply_columns<6, kStrideA, kStart>(a, b, stride_b, count, c, stride_c, columns);
  }
}

/// Scores of one row to weights e^(score * scale - maximum), zero up to the next multiple of 16.
HWY_ATTR void softmax_chunk(float* scores, int count, float scale, float& maximum, float& total) {
  const F32Tag d;
  const int padded = (count + 15) / 16 * 16;
  for (int j = count; j < padded; ++j) scores[j] = -HUGE_VALF;
  F32 top = hn::Set(d, -HUGE_VALF);
  for (int j = 0; j < padded; j += static_cast<int>(kLanes)) {
    const F32 s = hn::Mul(hn::LoadU(d, scores + j), hn::Set(d, scale));
    hn::StoreU(s, d, scores + j);
    top = hn::Max(top, s);
  }
  maximum = hn::GetLane(hn::MaxOfLanes(d, top));
  F32 sum[kParts];
  for (std::size_t p = 0; p < kParts; ++p) sum[p] = hn::Zero(d);
  for (int j = 0; j < padded; j += static_cast<int>(kVirtualLanes))
    for (std::size_t p = 0; p < kParts; ++p) {
      float* at = scores + j + p * kLanes;
      const F32 weight = exp_f32(hn::Sub(hn::LoadU(d, at), hn::Set(d, maximum)));
      hn::StoreU(weight, d, at);
      sum[p] = hn::Add(sum[p], weight);
    }
  float lanes[kVirtualLanes];
  for (std::size_t p = 0; p < kParts; ++p) hn::StoreU(sum[p], d, lanes + p * kLanes);
  total = tree_sum(lanes);
}

HWY_ATTR float exp_one(float x) { return hn::GetLane(exp_f32(hn::Set(F32Tag(), x))); }

/// (maximum, total, value) of the chunks so far joined with the next chunk's.
HWY_ATTR void merge_chunk(float& maximum, float& total, float* value, float next_maximum, float next_total,
                          const float* next_value, int head_dim) {
  const F32Tag d;
  const float joint = std::max(maximum, next_maximum);
  const float keep = exp_one(maximum - joint), take = exp_one(next_maximum - joint);
  maximum = joint;
  total = std::fma(total, keep, next_total * take);
  for (int i = 0; i < head_dim; i += static_cast<int>(kLanes))
    hn::StoreU(hn::MulAdd(hn::LoadU(d, value + i), hn::Set(d, keep),
                          hn::Mul(hn::LoadU(d, next_value + i), hn::Set(d, take))),
               d, value + i);
}

struct Scratch {
  float* scores;  ///< [rows][kKvChunkTokens]
  float* q;       ///< [rows][kMaxHeadDim], as the next two
  float* part;    ///< weighted values of the chunk
  float* value;   ///< weighted values of the chunks so far
};

/// Rows from `row` on, at most a tile of them, that see `key` and have it in the same block: the heads of one token, and
/// the tokens that share a prefix there.
HWY_ATTR int rows_of_block(const AttentionTask& task, int row, int active, int key) {
  const int block = key / kKvBlockTokens, id = task.rows[row].blocks[block];
  int rows = 1;
  while (rows < kTileRows && row + rows < active && task.rows[row + rows].keys > key &&
         task.rows[row + rows].blocks[block] == id)
    ++rows;
  return rows;
}

HWY_ATTR void chunk_scores(const AttentionTask& task, const Scratch& scratch, int start, int active) {
  for (int key = start; key < std::min(start + kKvChunkTokens, task.rows[0].keys); key += kKvBlockTokens) {
    const int block = key / kKvBlockTokens;
    for (int row = 0, rows = 0; row < active && task.rows[row].keys > key; row += rows) {
      const float* keys = task.cache + task.rows[row].blocks[block] * task.block_stride;
      rows = rows_of_block(task, row, active, key);
      multiply_rows<kMaxHeadDim, Start::zero>(
          rows, scratch.q + row * kMaxHeadDim, keys, kKvBlockTokens, task.head_dim,
          scratch.scores + row * kKvChunkTokens + (key - start), kKvChunkTokens, kKvBlockTokens);
    }
  }
}

HWY_ATTR void chunk_values(const AttentionTask& task, const Scratch& scratch, int start, int active) {
  std::memset(scratch.part, 0, static_cast<std::size_t>(active) * kMaxHeadDim * sizeof(float));
  const int dim = task.head_dim;
  for (int key = start; key < std::min(start + kKvChunkTokens, task.rows[0].keys); key += kKvBlockTokens) {
    const int block = key / kKvBlockTokens;
    for (int row = 0, rows = 0; row < active && task.rows[row].keys > key; row += rows) {
      const float* values =
          task.cache + task.rows[row].blocks[block] * task.block_stride + kKvBlockTokens * dim;
      rows = rows_of_block(task, row, active, key);
      const float* weights = scratch.scores + row * kKvChunkTokens + (key - start);
      float* part = scratch.part + row * kMaxHeadDim;
      // The keys that all rows of the tile see, then each row's own rest: keys stay in order in every row.
      const int joint = std::min(kKvBlockTokens, task.rows[row + rows - 1].keys - key);
      multiply_rows<kKvChunkTokens, Start::stored>(rows, weights, values, static_cast<std::size_t>(dim),
                                                   joint, part, kMaxHeadDim, dim);
      for (int r = 0; r < rows; ++r) {
        const int own = std::min(kKvBlockTokens, task.rows[row + r].keys - key);
        if (own > joint)
          multiply_columns<1, kKvChunkTokens, Start::stored>(
              weights + r * kKvChunkTokens + joint, values + joint * dim, static_cast<std::size_t>(dim),
              own - joint, part + r * kMaxHeadDim, kMaxHeadDim, dim);
      }
    }
  }
}

HWY_ATTR void attention(const AttentionTask& task, float* memory) {
  const F32Tag d;
  const std::size_t rows = kMaxAttentionRows;
  const Scratch scratch{memory, memory + rows * kKvChunkTokens,
                        memory + rows * (kKvChunkTokens + kMaxHeadDim),
                        memory + rows * (kKvChunkTokens + 2 * kMaxHeadDim)};
  const auto row_bytes = static_cast<std::size_t>(task.head_dim) * sizeof(float);
  float maximum[kMaxAttentionRows], total[kMaxAttentionRows];
  float next_maximum[kMaxAttentionRows], next_total[kMaxAttentionRows];
  for (int r = 0; r < task.row_count; ++r)
    std::memcpy(scratch.q + r * kMaxHeadDim, task.rows[r].q, row_bytes);
  int active = task.row_count;
  for (int start = 0; start < task.rows[0].keys; start += kKvChunkTokens) {
    while (task.rows[active - 1].keys <= start) --active;
    chunk_scores(task, scratch, start, active);
    for (int r = 0; r < active; ++r)
      softmax_chunk(scratch.scores + r * kKvChunkTokens, std::min(kKvChunkTokens, task.rows[r].keys - start),
                    task.scale, next_maximum[r], next_total[r]);
    chunk_values(task, scratch, start, active);
    for (int r = 0; r < active; ++r) {
      float* value = scratch.value + r * kMaxHeadDim;
      const float* part = scratch.part + r * kMaxHeadDim;
      if (start == 0) {
        maximum[r] = next_maximum[r];
        total[r] = next_total[r];
        std::memcpy(value, part, row_bytes);
      } else {
        merge_chunk(maximum[r], total[r], value, next_maximum[r], next_total[r], part, task.head_dim);
      }
    }
  }
  for (int r = 0; r < task.row_count; ++r) {
    const F32 inverse = hn::Set(d, 1.0f / total[r]);
    for (int i = 0; i < task.head_dim; i += static_cast<int>(kLanes))
      hn::StoreU(hn::Mul(hn::LoadU(d, scratch.value + r * kMaxHeadDim + i), inverse), d,
                 task.rows[r].out + i);
  }
}

#endif
}  // namespace HWY_NAMESPACE
}  // namespace assize::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assize::kernels {

void attention(InstructionSet set, const AttentionTask& task, float* scratch) {
  set == InstructionSet::avx512 ? N_AVX3::attention(task, scratch) : N_AVX2::attention(task, scratch);
}

}  // namespace assize::kernels
#endif
