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

/// k of a step of a product's loop.
inline constexpr int kStepK = 4;

enum class Start { zero, stored };

/// Memory that the products of some pieces ask for together, so that the next block is in the cache when its turn comes. It
/// is asked for evenly: a burst would hold up what the products themselves load.
struct Stream {
  const float* next = nullptr;
  int lines = 0;       ///< still to be asked for
  int step_lines = 0;  ///< in one step of a product's loop
  int row_lines = 0;   ///< of each 64 floats the first lines only
  int row_left = 0;    ///< of them still to be asked for

  HWY_INLINE HWY_ATTR void ask(int count) {
    for (; count > 0; --count) {
      __builtin_prefetch(next, 0, 2);
      next += kLineFloats;
      if (--row_left == 0) {
        next += kKvBlockTokens - row_lines * kLineFloats;
        row_left = row_lines;
      }
    }
  }
};

/// A product c (+)= a b: `rows` of a and c, `count` of k, `columns` across (a multiple of 16).
struct Product {
  const float* a;
  const float* b;  ///< k `stride_b` floats apart
  std::size_t stride_b;
  int count;
  float* c;  ///< rows `stride_c` floats apart
  std::size_t stride_c;
  int columns;
  Stream* ahead;
};

/// Columns [column, column + V * kLanes): one accumulator per element, k in order.
template <int R, int V, std::size_t kStrideA, Start kStart>
HWY_INLINE HWY_ATTR void multiply(const Product& p, int column) {
  const F32Tag d;
  const std::size_t stride_b = p.stride_b, stride_c = p.stride_c;
  const float* HWY_RESTRICT a = p.a;
  const float* HWY_RESTRICT b = p.b + column;
  float* HWY_RESTRICT c = p.c + column;
  Accumulators<R, V> sum;
  each_sum(sum, stride_c, [&](F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { s = kStart == Start::zero ? hn::Zero(d) : hn::LoadU(d, c + at); });
  const auto step = [&](int k) ASSIZE_INLINE_LAMBDA {
    rank_one(sum, [&](int r) ASSIZE_INLINE_LAMBDA { return hn::Set(d, a[static_cast<std::size_t>(r) * kStrideA + static_cast<std::size_t>(k)]); },
             [&](int v) ASSIZE_INLINE_LAMBDA { return hn::LoadU(d, b + static_cast<std::size_t>(v) * kLanes); });
    b += stride_b;
  };
  Stream ahead = *p.ahead;
  int left = p.count;
  for (; left >= kStepK; left -= kStepK, a += kStepK) {
    if (ahead.lines > 0) {
      ahead.ask(ahead.step_lines);
      ahead.lines -= ahead.step_lines;
    }
    unroll<kStepK>(step);
  }
  *p.ahead = ahead;
  for (; left > 0; --left, ++a) step(0);
  each_sum(sum, stride_c, [&](const F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { hn::StoreU(s, d, c + at); });
}

template <int R, std::size_t kStrideA, Start kStart>
HWY_ATTR void multiply_columns(const Product& p) {
  constexpr int kVectors = tile_vectors(R), kWide = kVectors * static_cast<int>(kLanes);
  int column = 0;
  for (; column + kWide <= p.columns; column += kWide) multiply<R, kVectors, kStrideA, kStart>(p, column);
  if constexpr (kWide > 16)
    for (; column < p.columns; column += 16) multiply<R, 16 / static_cast<int>(kLanes), kStrideA, kStart>(p, column);
}

template <std::size_t kStrideA, Start kStart>
HWY_ATTR void multiply_rows(int rows, const Product& p) {
  switch (rows) {
    case 1:
      return multiply_columns<1, kStrideA, kStart>(p);
    case 2:
      return multiply_columns<2, kStrideA, kStart>(p);
    case 3:
      return multiply_columns<3, kStrideA, kStart>(p);
    case 4:
      return multiply_columns<4, kStrideA, kStart>(p);
    case 5:
      return multiply_columns<5, kStrideA, kStart>(p);
    default:
      return multiply_columns<6, kStrideA, kStart>(p);
  }
}

/// Scores of one row to weights e^(score * scale - maximum), zero up to the next multiple of 16.
HWY_ATTR void softmax_chunk(float* scores, int count, float scale, float& maximum, float& total) {
  const F32Tag d;
  const int padded = (count + 15) / 16 * 16;
  for (int j = count; j < padded; ++j) scores[j] = -HUGE_VALF;
  // Rounding keeps order: the greatest product is the product of the greatest.
  F32 top[kParts];
  for (std::size_t p = 0; p < kParts; ++p) top[p] = hn::Set(d, -HUGE_VALF);
  for (int j = 0; j < padded; j += static_cast<int>(kVirtualLanes))
    for (std::size_t p = 0; p < kParts; ++p) top[p] = hn::Max(top[p], hn::LoadU(d, scores + j + p * kLanes));
  for (std::size_t p = 1; p < kParts; ++p) top[0] = hn::Max(top[0], top[p]);
  maximum = hn::GetLane(hn::MaxOfLanes(d, top[0])) * scale;
  F32 sum[kParts];
  for (std::size_t p = 0; p < kParts; ++p) sum[p] = hn::Zero(d);
  for (int j = 0; j < padded; j += static_cast<int>(kVirtualLanes))
    for (std::size_t p = 0; p < kParts; ++p) {
      float* at = scores + j + p * kLanes;
      const F32 weight = exp_below_88(hn::Sub(hn::Mul(hn::LoadU(d, at), hn::Set(d, scale)), hn::Set(d, maximum)));
      hn::StoreU(weight, d, at);
      sum[p] = hn::Add(sum[p], weight);
    }
  float lanes[kVirtualLanes];
  for (std::size_t p = 0; p < kParts; ++p) hn::StoreU(sum[p], d, lanes + p * kLanes);
  total = tree_sum(lanes);
}

HWY_ATTR float exp_one(float x) { return hn::GetLane(exp_below_88(hn::Set(F32Tag(), x))); }

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
  float* scores;  ///< [rows][kScoreStride]
  float* q;       ///< [rows][kDimStride], as the next two
  float* part;    ///< weighted values of the chunk
  float* value;   ///< weighted values of the chunks so far
};

/// Rows that read one block together: the heads of one token, and tokens that share a prefix there.
struct Run {
  int key;  ///< first of the block
  int row, rows;
  const float* block;  ///< keys, then values
};

HWY_INLINE HWY_ATTR const float* block_at(const AttentionTask& task, int row, int key) {
  return task.cache + static_cast<std::size_t>(task.rows[row].blocks[key / kKvBlockTokens]) * task.block_stride;
}

/// The rows from `row` on that see `key` and have it in the same block.
HWY_ATTR Run run_at(const AttentionTask& task, int active, int key, int row) {
  const int block = key / kKvBlockTokens, id = task.rows[row].blocks[block];
  int end = row + 1;
  while (end < active && task.rows[end].keys > key && task.rows[end].blocks[block] == id) ++end;
  return {key, row, end - row, block_at(task, row, key)};
}

/// Keys of its block that a row sees from `key` on.
HWY_INLINE HWY_ATTR int keys_in_block(const AttentionTask& task, int row, int key) {
  return std::min(kKvBlockTokens, task.rows[row].keys - key);
}

/// Steps of the loops over k in the products of a run with one half (keys or values) of a block.
HWY_ATTR int run_steps(int rows, int head_dim) {
  const auto tile_steps = [&](int tile) { return head_dim * kKvBlockTokens / (kStepK * tile_vectors(tile) * static_cast<int>(kLanes)); };
  return rows / kTileRows * tile_steps(kTileRows) + (rows % kTileRows > 0 ? tile_steps(rows % kTileRows) : 0);
}

enum class Half { keys, values };

/// The lines of one half of a block whose first `keys` entries are seen.
HWY_ATTR Stream half_stream(const float* block, Half half, int keys, int head_dim) {
  if (half == Half::values) return {block + kKvBlockTokens * head_dim, keys * head_dim / kLineFloats, 0, kKvBlockTokens / kLineFloats, kKvBlockTokens / kLineFloats};
  const int row_lines = (keys + kLineFloats - 1) / kLineFloats;
  return {block, head_dim * row_lines, 0, row_lines, row_lines};
}

/// Calls body(run, rows of a tile, its first row, stream) for the tiles of each run over the keys [start, start +
/// kKvChunkTokens), block by block. Each run asks for its half of the next one's block, the last one for `last`.
template <class Body>
HWY_ATTR void each_tile(const AttentionTask& task, int start, int active, Half half, const Stream& last, const Body& body) {
  const int end = std::min(start + kKvChunkTokens, task.rows[0].keys);
  for (Run run = run_at(task, active, start, 0);;) {
    int row = run.row + run.rows, key = run.key;
    if (row >= active || task.rows[row].keys <= key) {
      row = 0;
      key += kKvBlockTokens;
    }
    const bool is_last = key >= end;
    const Run next = is_last ? run : run_at(task, active, key, row);
    Stream stream = is_last ? last : half_stream(next.block, half, keys_in_block(task, row, key), task.head_dim);
    const int steps = run_steps(run.rows, task.head_dim);
    stream.step_lines = (stream.lines + steps - 1) / steps;
    for (int first = 0; first < run.rows; first += kTileRows)
      body(run, std::min(kTileRows, run.rows - first), run.row + first, stream);
    if (stream.lines > 0) stream.ask(stream.lines);
    if (is_last) return;
    run = next;
  }
}

HWY_ATTR void chunk_scores(const AttentionTask& task, const Scratch& scratch, int start, int active) {
  const Stream first_values = half_stream(block_at(task, 0, start), Half::values, keys_in_block(task, 0, start), task.head_dim);
  each_tile(task, start, active, Half::keys, first_values, [&](const Run& run, int rows, int row, Stream& ahead) HWY_ATTR {
    // Keys behind the last one seen need no score; one row alone is as fast with all of them.
    const int seen = (keys_in_block(task, row, run.key) + 15) / 16 * 16;
    multiply_rows<kDimStride, Start::zero>(
        rows, {scratch.q + row * kDimStride, run.block, kKvBlockTokens, task.head_dim,
               scratch.scores + row * kScoreStride + (run.key - start), kScoreStride, rows == 1 ? kKvBlockTokens : seen, &ahead});
  });
}

/// sums [active][kDimStride] = weighted values of the chunk.
HWY_ATTR void chunk_values(const AttentionTask& task, const Scratch& scratch, int start, int active, float* sums) {
  const int dim = task.head_dim, next_chunk = start + kKvChunkTokens;
  const auto stride = static_cast<std::size_t>(dim);
  Stream after;
  if (task.rows[0].keys > next_chunk) {
    after = half_stream(block_at(task, 0, next_chunk), Half::keys, keys_in_block(task, 0, next_chunk), dim);
  } else if (task.after) {
    after = half_stream(task.after, Half::keys, kKvBlockTokens, dim);
  }
  each_tile(task, start, active, Half::values, after, [&](const Run& run, int rows, int row, Stream& ahead) HWY_ATTR {
    const float* values = run.block + kKvBlockTokens * dim;
    const float* weights = scratch.scores + row * kScoreStride + (run.key - start);
    float* part = sums + row * kDimStride;
    // The keys that all rows of the tile see, then each row's own rest: keys stay in order in every row.
    const int joint = keys_in_block(task, row + rows - 1, run.key);
    const Product joint_product{weights, values, stride, joint, part, kDimStride, dim, &ahead};
    run.key == start ? multiply_rows<kScoreStride, Start::zero>(rows, joint_product)
                     : multiply_rows<kScoreStride, Start::stored>(rows, joint_product);
    for (int r = 0; r < rows; ++r) {
      const int own = keys_in_block(task, row + r, run.key);
      if (own > joint)
        multiply_columns<1, kScoreStride, Start::stored>({weights + r * kScoreStride + joint, values + joint * dim, stride,
                                                          own - joint, part + r * kDimStride, kDimStride, dim, &ahead});
    }
  });
}

HWY_ATTR void attention(const AttentionTask& task, float* memory) {
  const F32Tag d;
  const std::size_t rows = kMaxAttentionRows;
  const Scratch scratch{memory, memory + rows * kScoreStride,
                        memory + rows * (kScoreStride + kDimStride),
                        memory + rows * (kScoreStride + 2 * kDimStride)};
  const auto row_bytes = static_cast<std::size_t>(task.head_dim) * sizeof(float);
  float maximum[kMaxAttentionRows], total[kMaxAttentionRows];
  float next_maximum[kMaxAttentionRows], next_total[kMaxAttentionRows];
  for (int r = 0; r < task.row_count; ++r)
    std::memcpy(scratch.q + r * kDimStride, task.rows[r].q, row_bytes);
  int active = task.row_count;
  for (int start = 0; start < task.rows[0].keys; start += kKvChunkTokens) {
    while (task.rows[active - 1].keys <= start) --active;
    chunk_scores(task, scratch, start, active);
    for (int r = 0; r < active; ++r)
      softmax_chunk(scratch.scores + r * kScoreStride, std::min(kKvChunkTokens, task.rows[r].keys - start),
                    task.scale, next_maximum[r], next_total[r]);
    chunk_values(task, scratch, start, active, start == 0 ? scratch.value : scratch.part);
    for (int r = 0; r < active; ++r) {
      if (start == 0) {
        maximum[r] = next_maximum[r];
        total[r] = next_total[r];
      } else {
        merge_chunk(maximum[r], total[r], scratch.value + r * kDimStride, next_maximum[r], next_total[r],
                    scratch.part + r * kDimStride, task.head_dim);
      }
    }
  }
  for (int r = 0; r < task.row_count; ++r) {
    const F32 inverse = hn::Set(d, 1.0f / total[r]);
    for (int i = 0; i < task.head_dim; i += static_cast<int>(kLanes))
      hn::StoreU(hn::Mul(hn::LoadU(d, scratch.value + r * kDimStride + i), inverse), d,
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
