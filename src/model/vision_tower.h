#pragma once

#include <memory>
#include <vector>

#include "media/patches.h"
#include "model/model.h"
#include "model/vision_plan.h"
#include "model/weights.h"

namespace assize::model {

/// The vision tower of Qwen2.5-VL (models.md 2.3). Every rank holds all of it.
class VisionTower {
 public:
  /// Packs the weights and allocates what a picture of `limits.image_patches` needs. Throws Error for a
  /// missing or misshapen tensor.
  VisionTower(const VisionConfig& config, Weights& weights, const ModelLimits& limits,
              backend::Backend& backend);

  /// Writes the tokens of a picture, in raster order, to rows [first_row, + tokens) of `embeddings` [.., H].
  /// Throws Error if the picture is larger than the limits or not cut as this tower wants it.
  void encode(const media::ImagePatches& image, backend::Activation embeddings, std::int32_t first_row);

  std::size_t weight_bytes() const;

 private:
  struct Block {
    std::unique_ptr<backend::Vector> attention_norm;  ///< [D]
    std::unique_ptr<backend::Linear> qkv;             ///< D -> q | k | v
    std::unique_ptr<backend::Linear> output;          ///< D -> D
    std::unique_ptr<backend::Vector> mlp_norm;        ///< [D]
    std::unique_ptr<backend::Linear> gate_up;         ///< D -> gate | up
    std::unique_ptr<backend::Linear> down;            ///< I -> D
    bool full_attention = false;                      ///< over the frame; else inside windows
  };

  Block load_block(std::int32_t index, Weights& weights);
  void check(const media::ImagePatches& image) const;

  const VisionConfig config_;
  const std::int32_t patch_columns_;  ///< values of a patch, 1176
  const std::int32_t patches_;        ///< N at most
  const std::int32_t embedding_rows_;
  backend::Backend& backend_;

  std::unique_ptr<backend::Linear> patch_embedding_;  ///< 1176 -> D
  std::vector<Block> blocks_;
  std::unique_ptr<backend::Vector> merger_norm_;  ///< [D]
  std::unique_ptr<backend::Linear> merger_in_;    ///< 4 D -> 4 D
  std::unique_ptr<backend::Linear> merger_out_;   ///< 4 D -> H

  // Buffers for N patches. Those of equal lifetime are views of the same memory.
  backend::Activation h_;       ///< [N, D] residual stream
  backend::Activation z_;       ///< [N, D] normed
  backend::Activation delta_;   ///< [N, D] what a block adds
  backend::Activation narrow_;  ///< [N, max(D, I)]
  backend::Activation wide_;    ///< [N, max(1176, 3 D, 2 I, H)]
  VisionPlan plan_;
  std::vector<std::int32_t> token_rows_;  ///< [N / 4] rows of the embeddings
};

}  // namespace assize::model
