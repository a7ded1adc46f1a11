#include <algorithm>

#include "backend/split.h"
#include "model/head_shard.h"
#include "model/model.h"

namespace assize::model {

namespace {

std::size_t size(std::int64_t value) { return static_cast<std::size_t>(value); }

/// The widest of the ranks' parts of a dimension that is cut at quarters.
std::int64_t widest_part(std::int64_t width, int ranks) {
  std::int64_t widest = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    widest = std::max(widest, backend::shard_range(width, rank, ranks).size());
  }
  return widest;
}

/// Values of a patch: channels x frames x height x width.
std::int64_t patch_values(const VisionConfig& v) {
  return std::int64_t{3} * v.temporal_patch_size * v.patch_size_px * v.patch_size_px;
}

}  // namespace

std::size_t kv_block_bytes(const ModelConfig& config, int tensor_parallel, std::size_t value_bytes) {
  const std::int64_t K = shard_heads(config, 0, tensor_parallel).kv_heads;
  return size(2 * K * config.head_dim * config.layers * backend::kBlockTokens) * value_bytes;
}

std::size_t estimate_weight_bytes(const ModelConfig& config, int tensor_parallel) {
  const HeadShard shard = shard_heads(config, 0, tensor_parallel);
  const std::int64_t H = config.hidden, V = config.vocab_size;
  const std::int64_t Ad = std::int64_t{shard.heads} * config.head_dim;
  const std::int64_t Kd = std::int64_t{shard.kv_heads} * config.head_dim;
  const std::int64_t I = widest_part(config.intermediate, tensor_parallel);
  const std::int64_t layer = (2 * Ad + 2 * Kd) * H + 3 * I * H;
  // A tied head is packed beside the embedding.
  const std::int64_t tables = (V + widest_part(V, tensor_parallel)) * H;

  const VisionConfig& v = config.vision;
  const std::int64_t D = v.hidden;
  const std::int64_t merged = D * v.merge_size * v.merge_size;
  const std::int64_t block = 4 * D * D + 3 * D * v.intermediate;
  const std::int64_t tower = v.depth == 0 ? 0 : patch_values(v) * D + v.depth * block + merged * (merged + H);
  return size(config.layers * layer + tables + tower) * size(config.weight_element_bytes);
}

std::size_t buffer_bytes(const ModelConfig& config, const ModelLimits& limits, int tensor_parallel,
                         std::size_t value_bytes) {
  const HeadShard shard = shard_heads(config, 0, tensor_parallel);
  const std::int64_t H = config.hidden, d = config.head_dim, T = limits.step_rows;
  const std::int64_t I = widest_part(config.intermediate, tensor_parallel);
  const std::int64_t media = limits.embedding_rows > 0 ? H : 0;
  const std::int64_t step = T * (3 * H + media + (2 * shard.heads + 2 * shard.kv_heads) * d + 3 * I);
  std::int64_t total = step + std::int64_t{limits.sample_rows} * (2 * H + shard.heads * d);

  const VisionConfig& v = config.vision;
  if (v.depth > 0 && limits.image_patches > 0) {
    const std::int64_t D = v.hidden, N = limits.image_patches;
    const std::int64_t wide =
        std::max({patch_values(v), 3 * D, std::int64_t{2} * v.intermediate, std::int64_t{v.out_hidden}});
    total += N * (3 * D + std::max<std::int64_t>(D, v.intermediate) + wide) + limits.embedding_rows * H;
  }
  return size(total) * value_bytes;
}

}  // namespace assize::model
