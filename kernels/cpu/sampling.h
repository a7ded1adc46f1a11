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

/// Sum of the weights > threshold (16 lanes, fixed tree); `*above` is set to how many they are.
float sum_above(InstructionSet set, const float* weights, std::size_t count, float threshold,
                std::int64_t* above);

/// First i in [begin, end) with values[i] > threshold, or end.
std::size_t find_above(InstructionSet set, const float* values, std::size_t begin, std::size_t end,
                       float threshold);

}  // namespace assize::kernels
