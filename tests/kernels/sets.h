#pragma once

#include <cstring>
#include <vector>

#include "kernels/cpu/instruction_set.h"

namespace assize::test {

/// The instruction sets this CPU can run.
inline std::vector<kernels::InstructionSet> instruction_sets() {
  std::vector<kernels::InstructionSet> sets;
  for (const auto set : {kernels::InstructionSet::avx2, kernels::InstructionSet::avx512})
    if (kernels::cpu_has(set)) sets.push_back(set);
  return sets;
}

/// Bit equality; NaN equals NaN of the same bits.
inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace assize::test
