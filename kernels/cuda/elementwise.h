#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"

namespace assize::kernels::cuda {

// Rows are contiguous: [rows, cols], row r at r * cols. All pointers are 16-byte aligned device memory. Every
// row is computed alone and in one order, so its bits do not depend on how many rows there are. Fast where
// cols is a multiple of 8; right for any cols.

/// out = x / sqrt(mean(x^2) + epsilon) * weight; weight [cols] in f32. out may be x.
Status rms_norm(const Bf16* x, const float* weight, float epsilon, int rows, int cols, Bf16* out,
                Stream stream);

/// residual += delta (rounded to bf16), then out = rms_norm(residual). out may be delta.
Status add_rms_norm(Bf16* residual, const Bf16* delta, const float* weight, float epsilon, int rows, int cols,
                    Bf16* out, Stream stream);

/// residual[i] += delta[i], i < count.
Status add(Bf16* residual, const Bf16* delta, std::int64_t count, Stream stream);

/// gate_up [rows, 2 * cols] = gate | up; out [rows, cols] = gate / (1 + e^-gate) * up.
Status swiglu(const Bf16* gate_up, int rows, int cols, Bf16* out, Stream stream);

/// x[i] = x[i] / 2 * (1 + erf(x[i] / sqrt 2)), in place.
Status gelu(Bf16* x, std::int64_t count, Stream stream);

/// out[r] = table[ids[r]]; a negative id leaves row r as it is.
Status embed(const Bf16* table, const std::int32_t* ids, int rows, int cols, Bf16* out, Stream stream);

/// out[r] = x[index[r]].
Status gather_rows(const Bf16* x, const std::int32_t* index, int rows, int cols, Bf16* out, Stream stream);

/// out[index[r]] = x[r]; the indices differ from each other.
Status scatter_rows(const Bf16* x, const std::int32_t* index, int rows, int cols, Bf16* out, Stream stream);

/// out[i] = x[i] rounded to nearest even: pixels of patches on their way into the patch embedding.
Status to_bf16(const float* x, std::int64_t count, Bf16* out, Stream stream);

/// out[i] = x[i].
Status to_f32(const Bf16* x, std::int64_t count, float* out, Stream stream);

/// The fixed-order sum of a row-split product: parts [count][rows, cols] in f32, one from each
/// tensor-parallel rank in rank order; count is 1, 2 or 4; out = bf16((p0 + p1) + (p2 + p3) + bias). bias
/// [cols] may be null.
Status sum_parts(const float* parts, int count, const float* bias, int rows, int cols, Bf16* out,
                 Stream stream);

}  // namespace assize::kernels::cuda
