#pragma once

#include <map>
#include <memory>

#include "backend/cuda/product_plan.h"
#include "backend/cuda/weights.h"

namespace assize::backend::cuda {

/// Products with packed weights by cuBLASLt, a row's bits the same in any company.
class Product {
 public:
  explicit Product(Queue& queue);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  /// Chooses the algorithms for products with weights of this shape: at the start, while memory is free to try them in.
  /// `f32`: for multiply_f32; `most_rows`: what a product will have at most, 0 if that is not known.
  void prepare(const CudaLinear& weight, bool f32, std::int32_t most_rows = 0);

  /// y[r] = bf16(W x[r] + bias), rows of out_features. One sum over k; for a narrow weight with long rows and no bias
  /// four, added in order.
  void multiply(const CudaLinear& weight, const Bf16* x, std::int32_t rows, Bf16* y);
  /// y[r] = W x[r] in f32, without the bias.
  void multiply_f32(const CudaLinear& weight, const Bf16* x, std::int32_t rows, float* y);

 private:
  ProductPlan& plan_of(const ProductShape& shape, std::int32_t most_rows);

  Queue& queue_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  DeviceArray<float> parts_;
  std::map<ProductShape, std::unique_ptr<ProductPlan>> plans_;
};

}  // namespace assize::backend::cuda
