#pragma once

#include <cstdint>

#include "model/config.h"

namespace assize::model {

/// The attention heads of one rank of a tensor-parallel group.
struct HeadShard {
  std::int32_t first_head = 0;
  std::int32_t heads = 0;
  std::int32_t first_kv_head = 0;
  std::int32_t kv_heads = 0;  ///< shared with other ranks where the model has fewer than the group ranks
};

/// Query heads split evenly, and with them the KV heads they read. Throws Error if the heads do not divide.
HeadShard shard_heads(const ModelConfig& config, int rank, int ranks);

}  // namespace assize::model
