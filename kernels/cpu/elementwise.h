#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/instruction_set.h"

namespace assize::kernels {

/// residual[i] += delta[i], i < count.
void add(InstructionSet set, float* residual, const float* delta, std::size_t count);

/// out = (x * 1/sqrt(mean(x^2) + epsilon)) * weight for one row; the squares are summed in 16 lanes
/// (lane = column mod 16) and a fixed tree. out may be x.
void rms_norm(InstructionSet set, const float* x, const float* weight, float epsilon, std::int32_t columns,
              float* out);

/// Gate and up alternate by so many columns; the last of each may be fewer.
inline constexpr std::size_t kGateColumns = 16;

/// out[i] = gate[i] / (1 + e^-gate[i]) * up[i], i < count, of gate_up [2 * count] = gate[0 .. 16) | up[0 .. 16) |
/// gate[16 .. 32) | ...
void swiglu(InstructionSet set, const float* gate_up, std::size_t count, float* out);

/// x[i] = x[i]/2 * (1 + erf(x[i]/sqrt 2)); absolute error below 2e-7 * |x|.
void gelu(InstructionSet set, float* x, std::size_t count);

/// Rotates the pairs (j, j + half) of one head in place: (u, v) -> (u cos - v sin, v cos + u sin).
/// half is a multiple of 8.
void rotate_half(InstructionSet set, float* head, const float* cosines, const float* sines,
                 std::int32_t half);

}  // namespace assize::kernels
