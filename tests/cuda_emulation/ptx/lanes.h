#pragma once

#include <utility>

#include "tests/cuda_emulation/ptx/warp.h"

namespace assize::cuda_emulation::ptx {

/// The opcodes of a group and what they do.
using Table = std::map<std::string, Meaning>;

/// Arithmetic, comparison, conversion of single lanes.
void add_arithmetic(Table& table);
/// Loads and stores, warps, barriers, tensor cores.
void add_memory_and_warps(Table& table);

template <class F>
void for_lanes(std::uint32_t active, const F& body) {
  if (active == Warp::kAll) {
    for (int l = 0; l < 32; ++l) body(l);
  } else {
    for (; active; active &= active - 1) body(__builtin_ctz(active));
  }
}

/// first operand = F(the others), lane by lane.
template <class F, class... Sources>
void map_lanes(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data();
  for_lanes(active, [&](int l) {
    [&]<std::size_t... k>(std::index_sequence<k...>) { w.set(r[0], l, F()(w.get<Sources>(r[k + 1], l)...)); }
    (std::index_sequence_for<Sources...>());
  });
}

/// Table entry of an operation on operands of these types.
template <class... Sources, class F>
Meaning lanewise(F) {
  return {map_lanes<F, Sources...>, Flow::plain};
}

}  // namespace assize::cuda_emulation::ptx
