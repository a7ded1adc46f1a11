#pragma once

#include <compare>
#include <vector>

#include "backend/cuda/queue.h"

namespace assize::backend::cuda {

/// What is multiplied: y [rows, out] = x [rows, in] W^T, W [out, in], bf16 with f32 sums.
struct ProductShape {
  std::int32_t in = 0, out = 0;
  bool bias = false;        ///< bf16 [out], added before rounding
  bool f32 = false;         ///< y is f32, not bf16
  std::int32_t pieces = 1;  ///< of k, each a product of its own: y is [pieces, rows, out]; only with f32
  auto operator<=>(const ProductShape&) const = default;
};

/// The algorithms of cuBLASLt for one shape. The first that it names for a middling number of rows, that sums over k in one
/// piece and gives a row the same bits alone and in company, is the reference; for each range of rows the fastest one is
/// taken of those that gave the reference's bits on random numbers. So the clock may choose, and the bits depend neither on it
/// nor on the company of a row.
class ProductPlan {
 public:
  static constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;

  /// Tries algorithms in the memory that the arena has not handed out. `workspace`: kWorkspaceBytes of the device.
  /// `most_rows`: there are never more, 16 at least; 0: not known. Throws Error where cuBLASLt has no algorithm that
  /// serves, or too little memory is left to try one.
  ProductPlan(cublasLtHandle_t handle, Queue& queue, const ProductShape& shape, void* workspace, std::int32_t most_rows);
  ~ProductPlan();
  ProductPlan(const ProductPlan&) = delete;
  ProductPlan& operator=(const ProductPlan&) = delete;

  /// y = x W^T + bias for any number of rows (with pieces: for as many as were promised).
  void run(const Bf16* weight, const Bf16* bias, const Bf16* x, std::int32_t rows, void* y);

 private:
  struct Choice {
    std::int32_t most_rows;
    cublasLtMatmulAlgo_t algorithm;
  };
  struct Trial;

  void set_rows(std::int32_t rows);
  void multiply(const cublasLtMatmulAlgo_t& algorithm, const Bf16* weight, const Bf16* x, std::int32_t rows, void* y);
  std::vector<cublasLtMatmulAlgo_t> candidates(std::int32_t rows);
  bool serves(const cublasLtMatmulAlgo_t& candidate, std::int32_t rows);
  bool choose(Trial& trial, const cublasLtMatmulAlgo_t& reference, const std::vector<cublasLtMatmulAlgo_t>& middling,
              std::int32_t most_rows);

  cublasLtHandle_t handle_;
  Queue& queue_;
  const ProductShape shape_;
  void* const workspace_;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, d_ = nullptr;
  std::vector<Choice> choices_;  ///< by ascending number of rows; the last one for all that are more
};

}  // namespace assize::backend::cuda
