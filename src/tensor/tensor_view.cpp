#include "tensor/tensor_view.h"

#include <cstring>

#include "base/error.h"

namespace assize::tensor {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

float element_f32(const TensorView& tensor, std::size_t index) {
  if (tensor.dtype == DType::f32) {
    float value;
    std::memcpy(&value, tensor.data + index * 4, 4);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, tensor.data + index * 2, 2);
  return tensor.dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

void copy_f32(const TensorView& tensor, std::size_t first, std::size_t count, float* out) {
  if (!is_float(tensor.dtype))
    throw base::Error("tensor '" + tensor.name + "' is " + std::string(name(tensor.dtype)) +
                      ", a float tensor (F32, F16 or BF16) is needed");
  if (first > tensor.elements() || count > tensor.elements() - first)
    throw base::Error("elements " + std::to_string(first) + " to " + std::to_string(first + count) +
                      " asked of tensor '" + tensor.name + "' of shape " + shape_text(tensor.shape));
  for (std::size_t i = 0; i < count; ++i) out[i] = element_f32(tensor, first + i);
}

}  // namespace assize::tensor
