#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace assize::tensor {

/// A stored tensor, row-major, in memory that someone else owns (a mapped checkpoint).
struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  ///< empty for a scalar
  const std::byte* data = nullptr;  ///< aligned to the element size
  std::size_t bytes = 0;            ///< elements() * size_bytes(dtype)
  std::string name;                 ///< name in the checkpoint

  /// Number of elements.
  std::size_t elements() const { return bytes / size_bytes(dtype); }
};

/// "[4, 128]" for error messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Element `index` (row-major, unchecked) of a float tensor (F32, F16 or BF16) as float: exact.
float element_f32(const TensorView& tensor, std::size_t index);

/// `count` elements from `first` of a float tensor into `out`: exact. Throws Error if the tensor is not a
/// float tensor or the range does not lie inside it.
void copy_f32(const TensorView& tensor, std::size_t first, std::size_t count, float* out);

}  // namespace assize::tensor
