#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace assize::model {

/// How the vision tower walks over one picture of N patches (models.md 2.3, steps 2 to 4). Pure host data.
/// A group is merge x merge patches, one token of the decoder.
struct VisionPlan {
  std::vector<std::int32_t> token_order;  ///< [N / merge^2] group in raster order at each place of the tower
  std::vector<std::int32_t> patch_order;  ///< [N] row of the patches at each row of the tower
  std::vector<float> angles;              ///< [N, head_dim / 2] rotary angles of the rows of the tower
  std::vector<std::int32_t> window_ends;  ///< last row + 1 of each window
  std::vector<std::int32_t> frame_ends;   ///< last row + 1 of each frame: the segments of full attention
};

/// Fills `plan` for a grid of t x h x w patches (h and w multiples of the merge size), reusing its memory.
void plan_vision(const VisionConfig& vision, std::int32_t t, std::int32_t h, std::int32_t w,
                 VisionPlan& plan);

/// Reserves memory for pictures of up to `patches`, so that plan_vision allocates nothing.
void reserve_vision_plan(const VisionConfig& vision, std::int32_t patches, VisionPlan& plan);

}  // namespace assize::model
