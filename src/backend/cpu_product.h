#pragma once

#include <vector>

#include "backend/buffer.h"
#include "backend/cpu_weights.h"
#include "backend/thread_pool.h"
#include "kernels/cpu/linear.h"

namespace assize::backend {

/// Products with packed weights, cut into tasks of rows and panels. How they are cut changes no bit.
class CpuProduct {
 public:
  CpuProduct(kernels::InstructionSet set, ThreadPool& pool) : set_(set), pool_(pool) {}

  /// y[r] = W x[r] (+ bias, if not null) for `rows` rows, `x_stride` and `y_stride` floats apart.
  void multiply(const CpuLinear& weight, const float* x, std::size_t x_stride, std::int32_t rows,
                const float* bias, float* y, std::size_t y_stride) {
    multiply(weight, x, x_stride, rows, {bias, y, y_stride, false});
  }

  /// y[r] = swiglu (elementwise.h) of W x[r] (+ bias), which does not go through memory.
  void multiply_swiglu(const CpuLinear& weight, const float* x, std::size_t x_stride, std::int32_t rows,
                       const float* bias, float* y, std::size_t y_stride) {
    multiply(weight, x, x_stride, rows, {bias, y, y_stride, true});
  }

 private:
  struct Output {
    const float* bias;  ///< or null
    float* y;
    std::size_t y_stride;
    bool is_swiglu;
  };

  void multiply(const CpuLinear& weight, const float* x, std::size_t x_stride, std::int32_t rows,
                const Output& out);
  void multiply_rows(const CpuLinear& weight, const float* x, std::size_t x_stride, std::int32_t rows,
                     const Output& out);
  /// Cuts rows of x into tiles_ and packs them.
  void pack(const float* x, std::size_t x_stride, std::int32_t rows, std::int32_t k);

  kernels::InstructionSet set_;
  ThreadPool& pool_;
  std::vector<kernels::RowTile> tiles_;
  std::vector<std::int32_t> first_rows_;  ///< of each tile
  Buffer packed_rows_;                    ///< tile after tile; only the last one may be padded
  Buffer scratch_, gate_up_;  ///< of each thread in turn
};

}  // namespace assize::backend
