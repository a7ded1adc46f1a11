#pragma once

#include <map>
#include <tuple>

#include "backend/cuda/queue.h"
#include "backend/cuda/weights.h"

namespace assize::backend::cuda {

/// Products with packed weights by cuBLASLt. For each shape of weight one algorithm is chosen, once, that sums
/// over k in one piece and serves any number of rows, so that a row's bits depend neither on its company nor on
/// the clock (that cuBLASLt keeps to this is for a device to confirm: tools/gpu-check).
class Product {
 public:
  explicit Product(Queue& queue);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// y[r] = bf16(W x[r] + bias), rows of out_features.
  void multiply(const CudaLinear& weight, const Bf16* x, std::int32_t rows, Bf16* y);
  /// y[r] = W x[r] in f32, without the bias.
  void multiply_f32(const CudaLinear& weight, const Bf16* x, std::int32_t rows, float* y);

 private:
  /// in, out, bias, f32 output
  using Shape = std::tuple<std::int32_t, std::int32_t, bool, bool>;
  struct Plan;

  Plan& plan_of(const Shape& shape);
  void run(const CudaLinear& weight, const Bf16* x, std::int32_t rows, const Bf16* bias, bool f32, void* y);

  Queue& queue_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
};

}  // namespace assize::backend::cuda
