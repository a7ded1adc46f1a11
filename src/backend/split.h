#pragma once

#include <cstdint>

namespace assize::backend {

/// Tensor-parallel dimensions are cut at quarters: quarter q of `size` is [quarter_bound(q), quarter_bound(q+1)).
/// Rank r of n holds quarters [4r/n, 4(r+1)/n), so degrees 1, 2 and 4 cut at the same places.
inline std::int64_t quarter_bound(std::int64_t size, int quarter) { return size * quarter / 4; }

/// Range of a dimension held by one rank of a tensor-parallel group.
struct ShardRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

inline ShardRange shard_range(std::int64_t size, int rank, int ranks) {
  return {quarter_bound(size, 4 * rank / ranks), quarter_bound(size, 4 * (rank + 1) / ranks)};
}

}  // namespace assize::backend
