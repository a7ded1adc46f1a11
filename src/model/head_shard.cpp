#include "model/head_shard.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace assize::model {

namespace {
bool divides(const ModelConfig& config, int ranks) {
  return config.heads % ranks == 0 && (config.kv_heads % ranks == 0 || ranks % config.kv_heads == 0);
}
}  // namespace

HeadShard shard_heads(const ModelConfig& config, int rank, int ranks) {
  if (!divides(config, ranks)) {
    std::string possible;
    for (const int degree : {1, 2, 4}) {
      if (divides(config, degree)) possible += (possible.empty() ? "" : ", ") + std::to_string(degree);
    }
    throw base::Error(fmt::format(
        "tensor_parallel is {} but the judge has {} attention heads and {} key-value heads; possible: {}",
        ranks, config.heads, config.kv_heads, possible));
  }
  HeadShard shard;
  shard.heads = config.heads / ranks;
  shard.first_head = rank * shard.heads;
  shard.kv_heads = std::max(config.kv_heads / ranks, 1);
  shard.first_kv_head = shard.first_head / (config.heads / config.kv_heads);
  return shard;
}

}  // namespace assize::model
