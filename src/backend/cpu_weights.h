#pragma once

#include <memory>
#include <span>

#include "backend/backend.h"
#include "backend/buffer.h"
#include "backend/thread_pool.h"
#include "kernels/cpu/linear.h"

namespace assize::backend {

/// Weights in panels of 16 outputs, stored as in the checkpoint, with an fp32 bias.
struct CpuLinear : Linear {
  kernels::WeightType type = kernels::WeightType::f32;
  kernels::Segments segments;
  std::size_t panel_bytes = 0;
  int panel_count = 0;
  std::shared_ptr<std::byte> panels;
  Buffer bias;             ///< empty: none
  bool row_split = false;  ///< partial sums: to be added over the group, then the bias
  std::int64_t vocab = 0;  ///< output head: rows on all ranks
};

/// Embedding table: the stored tensor itself.
struct CpuEmbedding : Linear {
  tensor::TensorView table;
};

struct CpuVector : Vector {
  Buffer values;
};

/// Packs columns [k_begin, k_begin + segments.total()) of the stacked parts into memory of `arena`. Throws Error on a weight that is
/// not a float matrix, a row range outside of it, or parts of different types or widths.
std::unique_ptr<CpuLinear> pack_panels(std::span<const LinearPart> parts, std::int64_t k_begin,
                                       const kernels::Segments& segments, ThreadPool& pool, Arena& arena);

}  // namespace assize::backend
