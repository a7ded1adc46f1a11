#pragma once

#include <cstddef>

namespace assize::comm {

/// sum[i] = parts[0][i], parts[0][i] + parts[1][i] or (parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i])
/// for 1, 2 or 4 parts of `count` values: the order of additions of every all-reduce. `sum` overlaps no part.
inline void sum_tree(const float* const* parts, int size, std::size_t count, float* sum) {
  if (size == 1) {
    for (std::size_t i = 0; i < count; ++i) sum[i] = parts[0][i];
  } else if (size == 2) {
    for (std::size_t i = 0; i < count; ++i) sum[i] = parts[0][i] + parts[1][i];
  } else {
    for (std::size_t i = 0; i < count; ++i) sum[i] = (parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i]);
  }
}

}  // namespace assize::comm
