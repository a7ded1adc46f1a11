#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace assize::engine {

/// KV blocks that hold this many tokens.
inline std::int32_t blocks_for(std::int64_t tokens) {
  return static_cast<std::int32_t>((tokens + backend::kBlockTokens - 1) / backend::kBlockTokens);
}

/// Which blocks of the paged KV cache (backend::kBlockTokens tokens each) are in use, by reference counts.
/// Bookkeeping only; the contents belong to the model.
class KvBlocks {
 public:
  explicit KvBlocks(std::int32_t blocks);

  /// A free block with one reference, or -1 when none is left. Never allocates memory.
  std::int32_t take();
  /// One more owner of a block in use.
  void add_reference(std::int32_t block);
  /// One owner less; without owners the block is free. Throws std::logic_error for a block that has none.
  void release(std::int32_t block);

  std::int32_t total() const { return static_cast<std::int32_t>(references_.size()); }
  std::int32_t free() const { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t in_use() const { return total() - free(); }
  /// Most blocks in use at one time so far.
  std::int32_t high_water() const { return high_water_; }

 private:
  std::vector<std::int32_t> references_;  ///< [blocks]
  std::vector<std::int32_t> free_;        ///< the last one is taken next
  std::int32_t high_water_ = 0;
};

}  // namespace assize::engine
