#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/instruction_set.h"

namespace assize::kernels {

/// Largest of `count` >= 1 values; NaN if any of them is NaN or infinite.
float finite_maximum(InstructionSet set, const float* values, std::size_t count);

/// weights[i] = e^((values[i] - maximum) * scale); returns their sum in 16 lanes (i mod 16) and a fixed tree.
/// `weights` may be null.
float exp_sum(InstructionSet set, const float* values, std::size_t count, float maximum, float scale,
              float* weights);

/// Weights that `sum_above` looks at: whole groups of 16 by number, ascending. The others must hold no weight
/// above the threshold: they would add nothing, so the bits are the same for any such list.
struct WeightGroups {
  const std::uint32_t* groups = nullptr;
  std::size_t count = 0;
};

/// Sum of the weights > threshold, in 16 lanes (i mod 16) and a fixed tree; `*above` is set to how many they
/// are. `weights` holds `count` values and is readable up to the next multiple of 16, where the rest is 0 or
/// below the threshold. The groups that hold a weight above the threshold are written to `kept` (as long as
/// `from`) and their number to `*kept_count`. threshold >= 0.
float sum_above(InstructionSet set, const float* weights, WeightGroups from, float threshold,
                std::int64_t* above, std::uint32_t* kept, std::size_t* kept_count);

/// First i in [begin, end) with values[i] > threshold, or end.
std::size_t find_above(InstructionSet set, const float* values, std::size_t begin, std::size_t end,
                       float threshold);

/// The noise of `base/noise.h` for token ids first_id + i.
struct NoiseCounter {
  std::uint64_t stream = 0;
  std::uint32_t position = 0;
  std::uint32_t first_id = 0;
};

/// First i in [begin, end) with weights[i] > threshold whose uniform number u can satisfy 1 - u <= weights[i]
/// * scale (a few others may be found, none is missed), or end.
std::size_t find_lucky(InstructionSet set, const float* weights, std::size_t begin, std::size_t end,
                       float threshold, float scale, const NoiseCounter& noise);

}  // namespace assize::kernels
