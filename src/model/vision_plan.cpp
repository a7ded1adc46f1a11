#include "model/vision_plan.h"

#include <algorithm>
#include <cmath>

namespace assize::model {

namespace {

/// Appends the angles of the patch at (row, column) of its frame: row times each frequency, then column.
void append_angles(std::int32_t row, std::int32_t column, std::int32_t head_dim, std::vector<float>& angles) {
  for (const std::int32_t position : {row, column}) {
    for (std::int32_t j = 0; j < head_dim / 4; ++j) {
      const float exponent = static_cast<float>(2 * j) / static_cast<float>(head_dim / 2);
      const float frequency = 1.0f / static_cast<float>(std::pow(10000.0, double{exponent}));
      angles.push_back(static_cast<float>(position) * frequency);
    }
  }
}

}  // namespace

void plan_vision(const VisionConfig& vision, std::int32_t t, std::int32_t h, std::int32_t w,
                 VisionPlan& plan) {
  const std::int32_t merge = vision.merge_size, head_dim = vision.hidden / vision.heads;
  const std::int32_t rows = h / merge, columns = w / merge;  // groups
  const std::int32_t window = vision.window_size_px / merge / vision.patch_size_px;
  const std::int32_t patches_in_group = merge * merge;

  plan.token_order.clear();
  plan.patch_order.clear();
  plan.angles.clear();
  plan.window_ends.clear();
  plan.frame_ends.clear();

  const auto visit_group = [&](std::int32_t frame, std::int32_t row, std::int32_t column) {
    const std::int32_t group = (frame * rows + row) * columns + column;
    plan.token_order.push_back(group);
    for (std::int32_t k = 0; k < patches_in_group; ++k) {
      plan.patch_order.push_back(group * patches_in_group + k);
      append_angles(row * merge + k / merge, column * merge + k % merge, head_dim, plan.angles);
    }
  };
  for (std::int32_t frame = 0; frame < t; ++frame) {
    for (std::int32_t top = 0; top < rows; top += window) {
      for (std::int32_t left = 0; left < columns; left += window) {
        for (std::int32_t row = top; row < std::min(top + window, rows); ++row) {
          for (std::int32_t column = left; column < std::min(left + window, columns); ++column) {
            visit_group(frame, row, column);
          }
        }
        plan.window_ends.push_back(static_cast<std::int32_t>(plan.patch_order.size()));
      }
    }
    plan.frame_ends.push_back(static_cast<std::int32_t>(plan.patch_order.size()));
  }
}

void reserve_vision_plan(const VisionConfig& vision, std::int32_t patches, VisionPlan& plan) {
  const auto n = static_cast<std::size_t>(patches);
  const auto groups = n / static_cast<std::size_t>(vision.merge_size * vision.merge_size);
  plan.token_order.reserve(groups);
  plan.patch_order.reserve(n);
  plan.angles.reserve(n * static_cast<std::size_t>(vision.hidden / vision.heads / 2));
  plan.window_ends.reserve(groups);
  plan.frame_ends.reserve(groups);
}

}  // namespace assize::model
