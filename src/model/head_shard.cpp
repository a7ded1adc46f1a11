#include "model/head_shard.h"

#include <fmt/format.h>

#include <algorithm>

#include "backend/split.h"
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

std::size_t kv_block_bytes(const ModelConfig& config, int tensor_parallel) {
  const auto kv_heads = static_cast<std::size_t>(shard_heads(config, 0, tensor_parallel).kv_heads);
  return static_cast<std::size_t>(config.layers) * 2 * kv_heads * static_cast<std::size_t>(config.head_dim) *
         backend::kBlockTokens * sizeof(float);
}

std::size_t estimate_weight_bytes(const ModelConfig& config, int tensor_parallel) {
  const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  const HeadShard shard = shard_heads(config, 0, tensor_parallel);
  // The widest shard: quarters differ by at most one.
  const auto part = [&](std::int64_t width) {
    std::int64_t widest = 0;
    for (int rank = 0; rank < tensor_parallel; ++rank) {
      widest = std::max(widest, backend::shard_range(width, rank, tensor_parallel).size());
    }
    return widest;
  };
  const std::int64_t h = config.hidden;
  const std::int64_t query = std::int64_t{shard.heads} * config.head_dim;
  const std::int64_t key = std::int64_t{shard.kv_heads} * config.head_dim;
  const std::int64_t mlp = part(config.intermediate);
  const std::int64_t layer = (2 * query + 2 * key) * h + 3 * mlp * h;
  // Embedding and output head; a tied head is packed beside the embedding.
  const std::int64_t tables = (config.vocab_size + part(config.vocab_size)) * h;
  const VisionConfig& v = config.vision;
  const std::int64_t patch = std::int64_t{3} * v.temporal_patch_size * v.patch_size_px * v.patch_size_px;
  const std::int64_t merged = std::int64_t{v.hidden} * v.merge_size * v.merge_size;
  const std::int64_t block =
      std::int64_t{4} * v.hidden * v.hidden + std::int64_t{3} * v.hidden * v.intermediate;
  const std::int64_t vision = v.depth == 0 ? 0 : patch * v.hidden + v.depth * block + merged * (merged + h);
  return size(config.layers * layer + tables + vision) * size(config.weight_element_bytes);
}

}  // namespace assize::model
