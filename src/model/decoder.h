#pragma once

#include <memory>
#include <span>
#include <vector>

#include "model/head_shard.h"
#include "model/model.h"
#include "model/weights.h"

namespace assize::model {

/// The text decoder of Llama, Qwen2 and Qwen2.5-VL on one rank (models.md 1.4 and 2.4), with its KV cache.
class Decoder {
 public:
  /// Packs the weights of this rank and allocates everything a step needs. Throws Error for a missing or
  /// misshapen tensor and for a tensor-parallel degree that does not divide the heads.
  Decoder(const ModelConfig& config, Weights& weights, const ModelLimits& limits, backend::Backend& backend);

  /// One step; `embeddings` [.., H] is the encoder cache that plan.embedded refers to.
  void forward(const StepPlan& plan, backend::Activation embeddings,
               std::span<backend::SampleResult> results);

  /// Full logits [vocab] of sample `index` of the last step (tests).
  std::vector<float> logits(std::int32_t index) const;

  void copy_block(std::int32_t from, std::int32_t to, std::int32_t tokens);

  std::size_t weight_bytes() const;
  std::size_t kv_bytes() const { return cache_->bytes; }

 private:
  struct Layer {
    std::unique_ptr<backend::Vector> attention_norm;  ///< [H]
    std::unique_ptr<backend::Linear> qkv;             ///< H -> q | k | v of this rank's heads
    std::unique_ptr<backend::Linear> output;          ///< row-split: A*d -> H
    std::unique_ptr<backend::Vector> mlp_norm;        ///< [H]
    std::unique_ptr<backend::Linear> gate_up;         ///< H -> gate | up of this rank's part of I
    std::unique_ptr<backend::Linear> down;            ///< row-split: I -> H
  };

  Layer load_layer(std::int32_t index, Weights& weights);
  void check(const StepPlan& plan, std::size_t results) const;

  const ModelConfig& config_;
  const ModelLimits limits_;
  backend::Backend& backend_;
  const HeadShard shard_;

  std::unique_ptr<backend::Linear> embedding_;  ///< [V, H]
  std::vector<Layer> layers_;
  std::unique_ptr<backend::Vector> final_norm_;  ///< [H]
  std::unique_ptr<backend::Linear> head_;        ///< H -> this rank's part of V
  std::unique_ptr<backend::KvCache> cache_;

  // Buffers of a step of T rows; A, K, I and V mean this rank's part.
  backend::Activation h_;         ///< [T, H] residual stream
  backend::Activation z_;         ///< [T, H] normed
  backend::Activation delta_;     ///< [T, H] what a block adds
  backend::Activation qkv_;       ///< [T, (A + 2K) d]
  backend::Activation attended_;  ///< [T, A d]
  backend::Activation gate_up_;   ///< [T, 2 I]
  backend::Activation act_;       ///< [T, I]
  backend::Activation media_;     ///< [T, H] embedding rows on their way into h
  // Of the rows whose next token is wanted, in the last layer:
  backend::Activation last_attended_;  ///< [S, A d]
  backend::Activation last_h_;         ///< [S, H]
  backend::Activation last_;           ///< [S, H] normed, for the head

  std::vector<std::int32_t> media_rows_, media_sources_, sample_rows_;
  std::vector<backend::SampleRow> samples_;  ///< as in the plan, with rows of last_
};

}  // namespace assize::model
