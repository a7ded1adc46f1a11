#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/instruction_set.h"

namespace assize::kernels {

/// Probes of what one core can do: the ceilings that measured rates are compared with.

/// Floating-point operations done by one call of `run_fma`.
std::int64_t fma_operations(InstructionSet set, std::int64_t rounds);

/// `rounds` of independent fused multiply-adds in registers, as many as hide their latency. The result only
/// keeps the compiler from dropping the work.
float run_fma(InstructionSet set, std::int64_t rounds);

/// Reads `count` floats once, front to back; the result only keeps the compiler from dropping the work.
float run_read(InstructionSet set, const float* values, std::size_t count);

}  // namespace assize::kernels
