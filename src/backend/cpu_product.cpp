#include "backend/cpu_product.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/elementwise.h"

namespace assize::backend {

namespace {

/// Rows of x that meet a panel together: a block of their k stays in the second-level cache.
constexpr std::int32_t kBlockRows = 192;
/// Rows that are packed at a time, which bounds the memory for them.
constexpr std::int32_t kMostRows = 1024;
/// Most weights and most outputs of one task.
constexpr std::size_t kTaskWeightBytes = std::size_t{512} << 10, kTaskOutputBytes = std::size_t{128} << 10;
/// A task is so many multiply-adds, some tens of microseconds, within these numbers of tasks for each thread:
/// whoever is held up leaves the rest to the others.
constexpr std::int64_t kTaskProducts = 2'000'000;
constexpr std::int64_t kFewestTasks = 2, kMostTasks = 16;

constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }

/// Part `index` of `parts` almost equal parts of `count`.
constexpr std::pair<int, int> part_of(int count, int parts, int index) {
  const auto bound = [&](int i) { return static_cast<int>(std::int64_t{count} * i / parts); };
  return {bound(index), bound(index + 1)};
}

}  // namespace

void CpuProduct::multiply(const CpuLinear& weight, const float* x, std::size_t x_stride, std::int32_t rows,
                          const Output& out) {
  for (std::int32_t first = 0; first < rows; first += kMostRows) {
    Output part = out;
    part.y += static_cast<std::size_t>(first) * out.y_stride;
    multiply_rows(weight, x + static_cast<std::size_t>(first) * x_stride, x_stride,
                  std::min(kMostRows, rows - first), part);
  }
}

void CpuProduct::pack(const float* x, std::size_t x_stride, std::int32_t rows, std::int32_t k) {
  tiles_.clear();
  first_rows_.clear();
  for (std::int32_t first = 0; first < rows; first += tiles_.back().rows) {
    kernels::RowTile tile;
    tile.rows = kernels::next_tile_rows(set_, rows - first, &tile.padded_rows);
    tiles_.push_back(tile);
    first_rows_.push_back(first);
  }
  if (rows == 1) {
    tiles_[0].x = x;
    return;
  }
  const auto row_floats = static_cast<std::size_t>(k);
  packed_rows_.reserve(static_cast<std::size_t>(first_rows_.back() + tiles_.back().padded_rows) * row_floats * sizeof(float));
  pool_.run(static_cast<int>(tiles_.size()), [&](int t, int) {
    const auto index = static_cast<std::size_t>(t);
    auto& tile = tiles_[index];
    const auto first_row = static_cast<std::size_t>(first_rows_[index]);
    float* const packed = packed_rows_.floats() + first_row * row_floats;
    kernels::pack_rows(x + first_row * x_stride, x_stride, tile.rows,
                       tile.padded_rows, k, packed);
    tile.x = packed;
  });
}

void CpuProduct::multiply_rows(const CpuLinear& weight, const float* x, std::size_t x_stride,
                               std::int32_t rows, const Output& out) {
  pack(x, x_stride, rows, weight.in_features);
  const int tile_count = static_cast<int>(tiles_.size());
  const int blocks = ceil_div(rows, kBlockRows),
            block_rows = std::min(rows, kBlockRows + kernels::kMaxTileRows);
  // Ranges of panels are cut where a register tile ends, and not between a gate and its up.
  static_assert(kernels::kGateColumns == kernels::kPanelColumns);
  const int tile_panels = kernels::tile_panels(set_, tiles_[0].padded_rows),
            step = out.is_swiglu && tile_panels % 2 == 1 ? 2 * tile_panels : tile_panels,
            groups = ceil_div(weight.panel_count, step);
  const std::size_t group_bytes = tile_count == 1
                                      ? weight.panel_bytes * static_cast<std::size_t>(step)
                                      : static_cast<std::size_t>(block_rows) * kernels::kPanelColumns *
                                            sizeof(float) * static_cast<std::size_t>(step);
  const std::size_t most_groups =
      std::max<std::size_t>(1, (tile_count == 1 ? kTaskWeightBytes : kTaskOutputBytes) / group_bytes);
  const std::int64_t products = std::int64_t{rows} * weight.in_features * weight.out_features;
  const auto thread_tasks =
      static_cast<int>(std::clamp(products / kTaskProducts / pool_.threads(), kFewestTasks, kMostTasks));
  const int wanted = std::max(ceil_div(thread_tasks * pool_.threads(), blocks),
                              ceil_div(groups, static_cast<int>(most_groups)));
  const int ranges = std::min(groups, ceil_div(wanted, pool_.threads()) * pool_.threads());
  const int most_panels = ceil_div(groups, ranges) * step;
  const std::size_t scratch_floats =
      kernels::linear_scratch_floats(weight.segments, block_rows, most_panels);
  const std::size_t gate_up_floats = out.is_swiglu ? static_cast<std::size_t>(block_rows) *
                                                         static_cast<std::size_t>(most_panels) *
                                                         kernels::kPanelColumns
                                                   : 0;
  scratch_.reserve(scratch_floats * sizeof(float) * static_cast<std::size_t>(pool_.threads()));
  gate_up_.reserve(gate_up_floats * sizeof(float) * static_cast<std::size_t>(pool_.threads()));
  pool_.run(blocks * ranges, [&](int index, int thread) {
    const auto [first_tile, end_tile] = part_of(tile_count, blocks, index / ranges);
    const auto [first_group, end_group] = part_of(groups, ranges, index % ranges);
    const int panel = first_group * step;
    const auto column = static_cast<std::size_t>(panel) * kernels::kPanelColumns;
    kernels::LinearTask task;
    task.type = weight.type;
    task.segments = weight.segments;
    task.tiles = tiles_.data() + first_tile;
    task.tile_count = end_tile - first_tile;
    task.panels = weight.panels.get() + static_cast<std::size_t>(panel) * weight.panel_bytes;
    task.panel_stride_bytes = weight.panel_bytes;
    task.panel_count = std::min(end_group * step, weight.panel_count) - panel;
    task.columns =
        std::min(task.panel_count * kernels::kPanelColumns, weight.out_features - static_cast<int>(column));
    task.bias = out.bias ? out.bias + column : nullptr;
    task.scratch = scratch_.floats() + static_cast<std::size_t>(thread) * scratch_floats;
    float* const rows_out =
        out.y + static_cast<std::size_t>(first_rows_[static_cast<std::size_t>(first_tile)]) * out.y_stride;
    if (!out.is_swiglu) {
      task.y = rows_out + column;
      task.y_stride = out.y_stride;
      kernels::linear(set_, task);
      return;
    }
    task.y = gate_up_.floats() + static_cast<std::size_t>(thread) * gate_up_floats;
    task.y_stride = static_cast<std::size_t>(task.columns);
    kernels::linear(set_, task);
    const auto last_tile = static_cast<std::size_t>(end_tile) - 1;
    const auto task_rows = static_cast<std::size_t>(first_rows_[last_tile] + tiles_[last_tile].rows -
                                                    first_rows_[static_cast<std::size_t>(first_tile)]);
    for (std::size_t row = 0; row < task_rows; ++row)
      kernels::swiglu(set_, task.y + row * task.y_stride, task.y_stride / 2, rows_out + row * out.y_stride + column / 2);
  });
}

}  // namespace assize::backend
