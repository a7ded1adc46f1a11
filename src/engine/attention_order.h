#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace assize::engine {

/// What attention of one sequence reads in a step, before the order of the sequences is fixed.
struct AttentionWork {
  std::span<const std::int32_t> table;  ///< its KV blocks, enough for context_tokens + row_count tokens
  std::int32_t context_tokens = 0;
  std::int32_t row_count = 0;
};

/// Finds shared prefixes of consecutive sequences so that the most key reads are saved. Keeps its memory
/// between steps.
class PrefixGrouper {
 public:
  /// Room for this many sequences.
  void reserve(std::size_t sequences);
  /// Tokens (whole blocks) of context that lie in the same blocks in both.
  static std::int32_t shared_tokens(const AttentionWork& a, const AttentionWork& b);
  /// Whether `a` stands before `b` so that sequences with common blocks are neighbours.
  static bool before(const AttentionWork& a, const AttentionWork& b);
  /// Disjoint groups of neighbours in `works`, sorted by `before`, appended to `shared`: maximises the sum
  /// over groups of (sequences - 1) * shared tokens.
  void group(std::span<const AttentionWork> works, std::vector<backend::SharedPrefix>& shared);

 private:
  std::vector<std::int32_t> common_;  ///< [i] shared by i - 1 and i
  std::vector<std::int64_t> saved_;   ///< [i] best saving over the first i sequences
  std::vector<std::int32_t> first_;   ///< [i] first sequence of the group that ends before i in that optimum
};

}  // namespace assize::engine
