#include "backend/cuda/product.h"

#include <algorithm>

#include "kernels/cuda/elementwise.h"

namespace assize::backend::cuda {

namespace {

/// Rows whose four sums are added while they are still in the L2 cache.
constexpr std::int32_t kRowsOfParts = 512;

/// In how many pieces the sum over k is cut: as many tiles of the output as a narrow matrix has do not fill a GPU, and a
/// long k keeps each of them busy for long (the way down of a 7B judge: 89 us in one piece, 40 us in four, on an H200 at
/// 64 rows). The same for any number of rows.
std::int32_t product_pieces(const CudaLinear& weight) {
  const bool narrow = weight.in_features >= 4096 && weight.in_features >= 3 * weight.out_features;
  return narrow && weight.in_features % 32 == 0 && !weight.bias ? 4 : 1;
}

ProductShape shape_of(const CudaLinear& weight, bool f32) {
  const std::int32_t pieces = f32 ? 1 : product_pieces(weight);
  return {weight.in_features, weight.out_features, weight.bias != nullptr && !f32, f32 || pieces > 1, pieces};
}

}  // namespace

Product::Product(Queue& queue) : queue_(queue) {
  ASSIZE_CUDA(cublasLtCreate(&handle_));
  workspace_ = queue.arena().take(ProductPlan::kWorkspaceBytes, "cuBLASLt");
}

Product::~Product() {
  plans_.clear();
  cublasLtDestroy(handle_);
}

void Product::prepare(const CudaLinear& weight, bool f32, std::int32_t most_rows) {
  const ProductShape shape = shape_of(weight, f32);
  if (shape.pieces > 1) {
    parts_.reserve(queue_.arena(), std::size_t{kRowsOfParts} * static_cast<std::size_t>(shape.pieces * shape.out), "products");
    most_rows = kRowsOfParts;
  }
  plan_of(shape, most_rows);
}

ProductPlan& Product::plan_of(const ProductShape& shape, std::int32_t most_rows) {
  std::unique_ptr<ProductPlan>& plan = plans_[shape];
  if (!plan) plan = std::make_unique<ProductPlan>(handle_, queue_, shape, workspace_, most_rows);
  return *plan;
}

void Product::multiply(const CudaLinear& weight, const Bf16* x, std::int32_t rows, Bf16* y) {
  const ProductShape shape = shape_of(weight, false);
  ProductPlan& plan = plan_of(shape, 0);
  if (shape.pieces == 1) {
    plan.run(weight.weight, weight.bias, x, rows, y);
    return;
  }
  for (std::int32_t first = 0; first < rows; first += kRowsOfParts) {
    const std::int32_t part = std::min(kRowsOfParts, rows - first);
    plan.run(weight.weight, nullptr, x, part, parts_.data());
    ASSIZE_LAUNCH(kernels::cuda::sum_parts(parts_.data(), shape.pieces, nullptr, part, shape.out, y, queue_.kernels()));
    x += std::int64_t{part} * shape.in;
    y += std::int64_t{part} * shape.out;
  }
}

void Product::multiply_f32(const CudaLinear& weight, const Bf16* x, std::int32_t rows, float* y) {
  plan_of(shape_of(weight, true), 0).run(weight.weight, nullptr, x, rows, y);
}

}  // namespace assize::backend::cuda
