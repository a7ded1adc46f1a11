#pragma once

#include "backend/backend.h"
#include "backend/cuda/queue.h"

namespace assize::backend::cuda {

/// A weight [out, in] in bf16, row-major, on the device.
struct CudaLinear : Linear {
  const Bf16* weight = nullptr;
  const Bf16* bias = nullptr;           ///< [out]; null: none
  bool row_split = false;               ///< partial sums: to be added over the group, then the bias
  const float* summed_bias = nullptr;   ///< [out], of a row-split product over several ranks
  std::int64_t vocab = 0;               ///< output head: rows on all ranks
};

struct CudaVector : Vector {
  const float* values = nullptr;
};

/// Columns [column_begin, column_begin + columns) of the stacked parts on the device, rounded to bf16, with the
/// stacked bias. Throws Error for a weight that is not a float matrix, a row range outside of it, or parts of
/// different widths.
std::unique_ptr<CudaLinear> pack(Queue& queue, std::span<const LinearPart> parts, std::int64_t column_begin,
                                 std::int64_t columns);

/// A stored vector in f32 on the device.
const float* upload_f32(Queue& queue, const tensor::TensorView& values);

}  // namespace assize::backend::cuda
