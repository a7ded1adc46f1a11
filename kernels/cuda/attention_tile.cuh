#pragma once

// What the attention kernels share: tiles of 64 rows in shared memory and the arithmetic of a row. Both
// orientations call the same functions in the same order per row, which is what makes their bits equal.

#include "kernels/cuda/attention.h"
#include "kernels/cuda/ptx.h"

namespace assize::kernels::cuda {

inline constexpr int kAttentionThreads = 128;
inline constexpr int kTileRows = 64;
/// Two bf16 ones.
inline constexpr std::uint32_t kOnes = 0x3f803f80u;

/// A tile of up to 64 rows of kDim bf16 values. Eight neighbouring rows of one 16-byte vector lie in eight
/// different bank groups: vectors are permuted within a row where rows are multiples of 128 bytes, else rows
/// are one vector longer.
template <int kDim>
struct Tile {
  static constexpr int kVectors = kDim / 8;
  static constexpr bool kPermuted = kDim % 64 == 0;
  static constexpr int kRowBytes = (kVectors + (kPermuted ? 0 : 1)) * 16;
  static constexpr int kBytes = kTileRows * kRowBytes;

  /// Byte offset of a vector. offset(8 n + row, vector) = 8 n * kRowBytes + offset(row, vector): the kernels
  /// write the second form where n is known at compile time, so that one register serves all n.
  static __device__ __forceinline__ int offset(int row, int vector) {
    return row * kRowBytes + (kPermuted ? vector ^ (row & 7) : vector) * 16;
  }
};

/// Softmax state of one row over one chunk: the largest score so far and the sum of weights relative to it.
struct RowState {
  float maximum = -INFINITY;  ///< of raw scores
  float sum = 0;
};

/// What scores are relative to: maximum * scale; 0 where there is no key yet.
__device__ __forceinline__ float score_base(float maximum, float scale) {
  return maximum == -INFINITY ? 0.0f : maximum * scale;
}

/// Weight of a score; scale includes log2 e.
__device__ __forceinline__ float weight_of(float score, float scale, float base) {
  return power_of_two(fmaf(score, scale, -base));
}

/// Takes a new maximum of a tile into the state; returns the factor for the values accumulated so far.
__device__ __forceinline__ float raise_maximum(RowState& state, float maximum, float scale) {
  const float factor = weight_of(state.maximum, scale, score_base(maximum, scale));
  state.maximum = maximum;
  state.sum *= factor;
  return factor;
}

/// Result of one row over the chunks so far: weights are relative to 2^maximum.
struct MergeState {
  float maximum;  ///< in units of log2
  float sum;
};

struct MergeFactors {
  float old_part, new_part;
};

/// Takes the next chunk's maximum (log2) and sum into the state; the accumulated values become
/// merged(values, chunk's values, factors).
__device__ __forceinline__ MergeFactors merge_chunk(MergeState& state, float maximum, float sum) {
  const float larger = fmaxf(state.maximum, maximum);
  const float base = larger == -INFINITY ? 0.0f : larger;
  const MergeFactors factors{power_of_two(state.maximum - base), power_of_two(maximum - base)};
  state.maximum = larger;
  state.sum = fmaf(sum, factors.new_part, state.sum * factors.old_part);
  return factors;
}

__device__ __forceinline__ float merged(float old_value, float new_value, MergeFactors factors) {
  return fmaf(new_value, factors.new_part, old_value * factors.old_part);
}

}  // namespace assize::kernels::cuda
