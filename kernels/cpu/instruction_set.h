#pragma once

namespace assize::kernels {

/// The instruction sets the kernels are compiled for. Every kernel gives the same bits with each of them.
enum class InstructionSet {
  avx2,    ///< AVX2, FMA, F16C, BMI
  avx512,  ///< AVX-512 F, BW, DQ, VL
};

/// True if this CPU and its operating system have all features the kernels of `set` use.
bool cpu_has(InstructionSet set);

}  // namespace assize::kernels
