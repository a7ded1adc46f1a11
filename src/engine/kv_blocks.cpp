#include "engine/kv_blocks.h"

#include <algorithm>
#include <stdexcept>

namespace assize::engine {

KvBlocks::KvBlocks(std::int32_t blocks) : references_(blocks, 0), free_(blocks) {
  for (std::int32_t i = 0; i < blocks; ++i) free_[i] = blocks - 1 - i;
}

std::int32_t KvBlocks::take() {
  if (free_.empty()) return -1;
  const std::int32_t block = free_.back();
  free_.pop_back();
  references_[block] = 1;
  high_water_ = std::max(high_water_, in_use());
  return block;
}

void KvBlocks::add_reference(std::int32_t block) {
  if (references_.at(block) == 0) throw std::logic_error("KV block shared while free");
  ++references_[block];
}

void KvBlocks::release(std::int32_t block) {
  if (references_.at(block) == 0) throw std::logic_error("KV block released twice");
  if (--references_[block] == 0) free_.push_back(block);
}

}  // namespace assize::engine
