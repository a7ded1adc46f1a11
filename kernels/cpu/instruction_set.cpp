#include "kernels/cpu/instruction_set.h"

#include "hwy/highway.h"

namespace assize::kernels {

bool cpu_has(InstructionSet set) {
  return (hwy::SupportedTargets() & (set == InstructionSet::avx512 ? HWY_AVX3 : HWY_AVX2)) != 0;
}

}  // namespace assize::kernels
