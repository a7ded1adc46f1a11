#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/cuda/types.h"

namespace assize::kernels::cuda {

/// cudaErrorInvalidValue.
inline constexpr Status kInvalidValue = 1;

/// log2(e) / sqrt(head_dim): scores are exponents of two.
inline float attention_scale(int head_dim) {
  return static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(head_dim)));
}

/// body(std::integral_constant) for the head dimensions there are kernels for; kInvalidValue for others.
template <class Body>
Status for_head_dim(int head_dim, const Body& body) {
  switch (head_dim) {
    case 64:
      return body(std::integral_constant<int, 64>());
    case 80:
      return body(std::integral_constant<int, 80>());
    case 128:
      return body(std::integral_constant<int, 128>());
    default:
      return kInvalidValue;
  }
}

}  // namespace assize::kernels::cuda
