#include "backend/cpu_product.h"

#include <algorithm>

namespace assize::backend {

namespace {

/// Rows of x that are packed and multiplied at a time: a block of their k stays in the second-level cache.
constexpr std::int32_t kBlockRows = 96;
/// Most weights and most outputs of one task.
constexpr std::size_t kTaskWeightBytes = std::size_t{512} << 10, kTaskOutputBytes = std::size_t{128} << 10;

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
  kernels::RowTile tiles[kBlockRows];
  std::size_t offsets[kBlockRows];  // floats into packed_rows_
  int first_rows[kBlockRows], tile_count = 0;
  std::size_t floats_used = 0;
  for (std::int32_t first = 0; first < rows; ++tile_count) {
    kernels::RowTile& tile = tiles[tile_count];
    tile.rows = kernels::next_tile_rows(set_, rows - first, &tile.padded_rows);
    first_rows[tile_count] = first;
    offsets[tile_count] = floats_used;
    floats_used += static_cast<std::size_t>(tile.padded_rows) * k;
    first += tile.rows;
  }
  if (rows > 1) {
    packed_rows_.reserve(floats_used * sizeof(float));
    pool_.run(tile_count, [&](int t, int) {
      float* packed = packed_rows_.floats() + offsets[t];
      kernels::pack_rows(x + static_cast<std::size_t>(first_rows[t]) * x_stride, x_stride, tiles[t].rows,
                         tiles[t].padded_rows, weight.in_features, packed);
      tiles[t].x = packed;
    });
  } else {
    tiles[0].x = x;
  }
  const int step = kernels::tile_panels(set_, tiles[0].padded_rows);
  const int balanced = weight.panel_count / (4 * pool_.threads());
  const std::size_t cached = tile_count == 1
                                 ? kTaskWeightBytes / std::max<std::size_t>(1, weight.panel_bytes)
                                 : kTaskOutputBytes / (static_cast<std::size_t>(rows) * kernels::kPanelColumns * sizeof(float));
  const int task_panels = std::max(1, (std::min(balanced, static_cast<int>(cached)) + step - 1) / step) * step;
  const std::size_t scratch_floats = kernels::linear_scratch_floats(weight.segments, rows, task_panels);
  scratch_.reserve(scratch_floats * sizeof(float) * static_cast<std::size_t>(pool_.threads()));
  pool_.run((weight.panel_count + task_panels - 1) / task_panels, [&](int index, int thread) {
    const int panel = index * task_panels;
    const auto column = static_cast<std::size_t>(panel) * kernels::kPanelColumns;
    kernels::LinearTask task;
    task.type = weight.type;
    task.segments = weight.segments;
    task.tiles = tiles;
    task.tile_count = tile_count;
    task.panels = weight.panels.get() + static_cast<std::size_t>(panel) * weight.panel_bytes;
    task.panel_stride_bytes = weight.panel_bytes;
    task.panel_count = std::min(task_panels, weight.panel_count - panel);
    task.columns =
        std::min(task.panel_count * kernels::kPanelColumns, weight.out_features - static_cast<int>(column));
    task.bias = bias ? bias + column : nullptr;
    task.y = y + column;
    task.y_stride = y_stride;
    task.scratch = scratch_.floats() + static_cast<std::size_t>(thread) * scratch_floats;
    kernels::linear(set_, task);
  });
}

}  // namespace assize::backend
