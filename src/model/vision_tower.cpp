#include "model/vision_tower.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace assize::model {

using backend::Activation;
using backend::LinearPart;

namespace {
constexpr float epsilon = 1e-6f;  // fixed in the reference implementation
constexpr std::int32_t channels = 3;

/// Weight [rows, columns] and bias of a linear layer, whole on every rank.
LinearPart whole_layer(Weights& weights, const std::string& name, std::int64_t rows, std::int64_t columns) {
  return {&weights.require(name + ".weight", {rows, columns}), &weights.require(name + ".bias", {rows}), 0, rows};
}

std::unique_ptr<backend::Linear> pack(backend::Backend& backend, Weights& weights, const std::string& name,
                                      std::int64_t rows, std::int64_t columns) {
  const LinearPart part = whole_layer(weights, name, rows, columns);
  auto packed = backend.pack_columns({&part, 1});
  weights.release(*part.weight);
  return packed;
}

}  // namespace

VisionTower::VisionTower(const VisionConfig& config, Weights& weights, const ModelLimits& limits,
                         backend::Backend& backend)
    : config_(config),
      patch_columns_(channels * config.temporal_patch_size * config.patch_size_px * config.patch_size_px),
      patches_(limits.image_patches),
      embedding_rows_(limits.embedding_rows),
      backend_(backend) {
  const std::int64_t D = config.hidden, T = config.temporal_patch_size, P = config.patch_size_px;
  // The stride of the convolution is its kernel, so it is a product with the flattened kernel.
  tensor::TensorView kernel = weights.require("visual.patch_embed.proj.weight", {D, channels, T, P, P});
  kernel.shape = {D, patch_columns_};
  const LinearPart whole{&kernel, nullptr, 0, D};
  patch_embedding_ = backend.pack_columns({&whole, 1});
  weights.release(kernel);

  for (std::int32_t i = 0; i < config.depth; ++i) blocks_.push_back(load_block(i, weights));

  const std::int64_t merged = D * config.merge_size * config.merge_size;
  merger_norm_ = backend.upload_vector(weights.require("visual.merger.ln_q.weight", {D}));
  merger_in_ = pack(backend, weights, "visual.merger.mlp.0", merged, merged);
  merger_out_ = pack(backend, weights, "visual.merger.mlp.2", config.out_hidden, merged);

  h_ = backend.allocate(patches_, config.hidden);
  z_ = backend.allocate(patches_, config.hidden);
  delta_ = backend.allocate(patches_, config.hidden);
  narrow_ = backend.allocate(patches_, std::max(config.hidden, config.intermediate));
  wide_ = backend.allocate(
      patches_, std::max({patch_columns_, 3 * config.hidden, 2 * config.intermediate, config.out_hidden}));
  reserve_vision_plan(config, patches_, plan_);
  token_rows_.reserve(static_cast<std::size_t>(patches_));
}

VisionTower::Block VisionTower::load_block(std::int32_t index, Weights& weights) {
  const std::int64_t D = config_.hidden, I = config_.intermediate;
  const std::string name = "visual.blocks." + std::to_string(index) + ".";
  Block block;
  block.attention_norm = backend_.upload_vector(weights.require(name + "norm1.weight", {D}));
  block.mlp_norm = backend_.upload_vector(weights.require(name + "norm2.weight", {D}));
  block.qkv = pack(backend_, weights, name + "attn.qkv", 3 * D, D);
  block.output = pack(backend_, weights, name + "attn.proj", D, D);
  const LinearPart gate = whole_layer(weights, name + "mlp.gate_proj", I, D),
                   up = whole_layer(weights, name + "mlp.up_proj", I, D);
  block.gate_up = backend_.pack_gated(gate, up);
  for (const LinearPart& packed : {gate, up}) weights.release(*packed.weight);
  block.down = pack(backend_, weights, name + "mlp.down_proj", D, I);
  const auto& full = config_.full_attention_blocks;
  block.full_attention = std::find(full.begin(), full.end(), index) != full.end();
  return block;
}

void VisionTower::check(const media::ImagePatches& image) const {
  const bool fits_tower = image.merge == config_.merge_size && image.rows() > 0 &&
                          image.grid_h % image.merge == 0 && image.grid_w % image.merge == 0 &&
                          image.values.size() == static_cast<std::size_t>(image.rows() * patch_columns_);
  if (!fits_tower) {
    throw base::Error(
        fmt::format("picture of {} x {} x {} patches with {} values is not cut for the vision tower "
                    "(patches of {} values, merged {} x {})",
                    image.grid_t, image.grid_h, image.grid_w, image.values.size(), patch_columns_,
                    config_.merge_size, config_.merge_size),
        base::ErrorKind::failed);
  }
  if (image.rows() > patches_) {
    throw base::Error(fmt::format("picture of {} patches is larger than the {} the model was loaded for",
                                  image.rows(), patches_),
                      base::ErrorKind::failed);
  }
}

void VisionTower::encode(const media::ImagePatches& image, Activation embeddings, std::int32_t first_row) {
  check(image);
  if (first_row < 0 || first_row + image.tokens() > embedding_rows_) {
    throw base::Error(fmt::format("internal: embedding rows {} to {} lie outside the {} of the cache",
                                  first_row, first_row + image.tokens(), embedding_rows_),
                      base::ErrorKind::failed);
  }
  const auto N = static_cast<std::int32_t>(image.rows());
  const std::int32_t D = config_.hidden, I = config_.intermediate, A = config_.heads, d = D / A;
  const std::int32_t group = config_.merge_size * config_.merge_size;
  const Activation patches{wide_.data, patch_columns_};
  const Activation qkv{wide_.data, 3 * D};
  const Activation gate_up{wide_.data, 2 * I};
  const Activation attended{narrow_.data, D};
  const Activation act{narrow_.data, I};

  plan_vision(config_, image.grid_t, image.grid_h, image.grid_w, plan_);
  backend_.upload(image.values, patches);                  // [N, 1176], raster order of groups
  backend_.linear(*patch_embedding_, patches, N, delta_);  // [N, D]
  backend_.gather_rows(delta_, plan_.patch_order, h_);     // [N, D], window order

  backend_.rms_norm(h_, *blocks_.front().attention_norm, epsilon, N, z_);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const auto& next_norm = i + 1 < blocks_.size() ? *blocks_[i + 1].attention_norm : *merger_norm_;
    const auto& segment_ends = block.full_attention ? plan_.frame_ends : plan_.window_ends;

    backend_.linear(*block.qkv, z_, N, qkv);                                        // q | k | v [N, 3 D]
    backend_.vision_attention(qkv, N, A, d, plan_.angles, segment_ends, attended);  // [N, D]
    backend_.linear(*block.output, attended, N, delta_);                            // [N, D]
    backend_.add_rms_norm(h_, delta_, *block.mlp_norm, epsilon, N, z_);

    backend_.linear_swiglu(*block.gate_up, z_, N, gate_up, act);  // [N, I]
    backend_.linear(*block.down, act, N, delta_);                 // [N, D]
    backend_.add_rms_norm(h_, delta_, next_norm, epsilon, N, z_);
  }

  // The rows of a group lie one after the other: side by side they are one row of 4 D.
  const Activation grouped{z_.data, group * D}, mixed{narrow_.data, group * D};
  const Activation tokens{wide_.data, config_.out_hidden};
  backend_.linear(*merger_in_, grouped, N / group, mixed);  // [N / 4, 4 D]
  backend_.gelu(mixed, N / group);
  backend_.linear(*merger_out_, mixed, N / group, tokens);  // [N / 4, H], window order
  token_rows_.clear();
  for (const std::int32_t token : plan_.token_order) token_rows_.push_back(first_row + token);
  backend_.scatter_rows(tokens, token_rows_, embeddings);
}

std::size_t VisionTower::weight_bytes() const {
  std::size_t bytes = patch_embedding_->bytes + merger_in_->bytes + merger_out_->bytes;
  for (const Block& block : blocks_) {
    bytes += block.qkv->bytes + block.output->bytes + block.gate_up->bytes + block.down->bytes;
  }
  const std::size_t norms = 2 * blocks_.size() + 1;
  return bytes + norms * static_cast<std::size_t>(config_.hidden) * sizeof(float);
}

}  // namespace assize::model
