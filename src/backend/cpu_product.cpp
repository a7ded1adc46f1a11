#include "backend/cpu_product.h"

#include <algorithm>

namespace assize::backend {

namespace {

/// Rows of x that are packed and multiplied at a time: their tiles stay in the second-level cache.
constexpr std::int32_t kBlockRows = 96;
/// Weights of one task, which its row tiles read from the cache again and again.
constexpr std::size_t kTaskWeightBytes = std::size_t{512} << 10;

struct RowTile {
  int first, rows, padded;
  std::size_t offset;  ///< floats into packed_rows_
};

}  // namespace

void CpuProduct::multiply(const CpuLinear& weight, const float* x, std::size_t x_stride, std::int32_t rows,
                          const float* bias, float* y, std::size_t y_stride) {
  for (std::int32_t first = 0; first < rows; first += kBlockRows)
    multiply_block(weight, x + static_cast<std::size_t>(first) * x_stride, x_stride,
                   std::min(kBlockRows, rows - first), bias, y + static_cast<std::size_t>(first) * y_stride,
                   y_stride);
}

void CpuProduct::multiply_block(const CpuLinear& weight, const float* x, std::size_t x_stride,
                                std::int32_t rows, const float* bias, float* y, std::size_t y_stride) {
  const auto k = static_cast<std::size_t>(weight.in_features);
  RowTile tiles[kBlockRows];
  int tile_count = 0;
  std::size_t floats_used = 0;
  for (std::int32_t first = 0; first < rows; ++tile_count) {
    RowTile& tile = tiles[tile_count];
    tile.first = first;
    tile.rows = kernels::next_tile_rows(set_, rows - first, &tile.padded);
    tile.offset = floats_used;
    floats_used += static_cast<std::size_t>(tile.padded) * k;
    first += tile.rows;
  }
  const float* packed_x = x;
  if (rows > 1) {
    packed_rows_.reserve(floats_used * sizeof(float));
    packed_x = packed_rows_.floats();
    const auto pack = [&](int t, int) {
      const RowTile& tile = tiles[t];
      kernels::pack_rows(x + static_cast<std::size_t>(tile.first) * x_stride, x_stride, tile.rows,
                         tile.padded, weight.in_features, packed_rows_.floats() + tile.offset);
    };
    pool_.run(tile_count, pack);
  }
  const int step = kernels::tile_panels(set_, tiles[0].padded);
  const int balanced = weight.panel_count / (4 * pool_.threads());
  const int cached = static_cast<int>(kTaskWeightBytes / std::max<std::size_t>(1, weight.panel_bytes));
  const int task_panels = std::max(1, (std::min(balanced, cached) + step - 1) / step) * step;
  pool_.run((weight.panel_count + task_panels - 1) / task_panels, [&](int index, int) {
    const int panel = index * task_panels;
    const auto column = static_cast<std::size_t>(panel) * kernels::kPanelColumns;
    kernels::LinearTask task;
    task.type = weight.type;
    task.segments = weight.segments;
    task.panels = weight.panels.data() + static_cast<std::size_t>(panel) * weight.panel_bytes;
    task.panel_stride_bytes = weight.panel_bytes;
    task.panel_count = std::min(task_panels, weight.panel_count - panel);
    task.columns =
        std::min(task.panel_count * kernels::kPanelColumns, weight.out_features - static_cast<int>(column));
    task.bias = bias ? bias + column : nullptr;
    task.y_stride = y_stride;
    for (int t = 0; t < tile_count; ++t) {
      task.tile = packed_x + tiles[t].offset;
      task.rows = tiles[t].rows;
      task.padded_rows = tiles[t].padded;
      task.y = y + static_cast<std::size_t>(tiles[t].first) * y_stride + column;
      kernels::linear(set_, task);
    }
  });
}

}  // namespace assize::backend
