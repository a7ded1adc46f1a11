#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/instruction_set.h"

namespace assize::kernels {

/// How weights are stored, in checkpoints and in panels.
enum class WeightType { f32, f16, bf16 };

/// Outputs of one panel.
inline constexpr int kPanelColumns = 16;
/// Rows of x that one tile holds at most.
inline constexpr int kMaxTileRows = 12;
/// Segments of k of a row-split layer.
inline constexpr int kMaxSegments = 4;

constexpr std::size_t weight_bytes(WeightType type) { return type == WeightType::f32 ? 4 : 2; }

/// The ranges of k of a product: one for a whole layer, up to four quarters for a row-split one.
struct Segments {
  int count = 1;
  std::int32_t length[kMaxSegments] = {0, 0, 0, 0};
  std::int64_t total() const { return std::int64_t{length[0]} + length[1] + length[2] + length[3]; }
};

/// Bytes of one packed panel: for each segment [length][16] weights; bf16 as [ceil(length / 2)][16][2], so
/// that one load gives 16 outputs at two neighbouring k. A multiple of 32.
std::size_t panel_bytes(WeightType type, const Segments& segments);

/// Packs outputs [0, columns), columns <= 16, of a row-major weight into one panel; the other columns are 0.
/// `weight` points at element (row 0, first k of the first segment); rows are `row_stride` elements apart;
/// the segments follow one another.
void pack_panel(WeightType type, const void* weight, std::size_t row_stride, int columns,
                const Segments& segments, void* panel);

/// Rows of the next tile when `remaining` rows are left: how the rows of x are cut does not change any bit.
/// `*padded` is set to the rows the packed tile must have (>= the result; the rest is anything finite).
int next_tile_rows(InstructionSet set, int remaining, int* padded);

/// Panels that a tile of `padded` rows takes together: ranges of panels are best cut at multiples of it.
int tile_panels(InstructionSet set, int padded);

/// tile[k][padded] = rows of x (`stride` apart) transposed; rows from `rows` to `padded` are 0.
void pack_rows(const float* x, std::size_t stride, int rows, int padded, std::int64_t k, float* tile);

/// Some rows of x, packed by pack_rows.
struct RowTile {
  const float* x = nullptr;  ///< [k][padded_rows]
  int rows = 0;
  int padded_rows = 0;
};

/// Tiles of x times consecutive panels.
struct LinearTask {
  WeightType type = WeightType::f32;
  Segments segments;
  const RowTile* tiles = nullptr;
  int tile_count = 0;
  const std::byte* panels = nullptr;
  std::size_t panel_stride_bytes = 0;
  int panel_count = 0;
  int columns = 0;              ///< outputs written, in (16 * (panel_count - 1), 16 * panel_count]
  const float* bias = nullptr;  ///< [columns] or null, added after the sum
  float* y = nullptr;           ///< [rows of all tiles][columns], rows `y_stride` apart
  std::size_t y_stride = 0;
  float* scratch = nullptr;     ///< linear_scratch_floats
};

/// Floats of scratch that a task of `rows` rows and `panel_count` panels needs.
std::size_t linear_scratch_floats(const Segments& segments, int rows, int panel_count);

/// y = x panels^T. Each output is one fp32 accumulator from 0, fused multiply-add over k in increasing
/// order, for each segment; segment sums are added (0 + 1) + (2 + 3).
void linear(InstructionSet set, const LinearTask& task);

}  // namespace assize::kernels
