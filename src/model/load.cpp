#include <optional>

#include "base/error.h"
#include "model/decoder.h"
#include "model/model.h"
#include "model/vision_tower.h"
#include "model/weights.h"
#include "tensor/safetensors.h"

namespace assize::model {

namespace {

/// A judge loaded from a checkpoint, which stays mapped: the embedding table is read from it.
class LoadedModel final : public Model {
 public:
  LoadedModel(const std::string& folder, const ModelConfig& config, const ModelLimits& limits,
              backend::Backend& backend)
      : config_(config), checkpoint_(tensor::Checkpoint::open(folder)) {
    Weights weights(checkpoint_, folder);
    decoder_.emplace(config_, weights, limits, backend);
    if (config.vision.depth > 0 && limits.image_patches > 0) {
      tower_.emplace(config_.vision, weights, limits, backend);
      embeddings_ = backend.allocate(limits.embedding_rows, config.hidden);
    } else if (config.vision.depth > 0) {
      weights.ignore("visual.");
    }
    weights.require_all_used();
  }

  const ModelConfig& config() const override { return config_; }
  std::size_t weight_bytes() const override {
    return decoder_->weight_bytes() + (tower_ ? tower_->weight_bytes() : 0);
  }
  std::size_t kv_bytes() const override { return decoder_->kv_bytes(); }

  void encode_image(const media::ImagePatches& image, std::int32_t embedding_row) override {
    if (!tower_) {
      throw base::Error("internal: a picture came to a judge that was loaded without a vision tower",
                        base::ErrorKind::failed);
    }
    tower_->encode(image, embeddings_, embedding_row);
  }

  void forward(const StepPlan& plan, std::span<backend::SampleResult> results) override {
    decoder_->forward(plan, embeddings_, results);
  }

  void copy_block(std::int32_t from, std::int32_t to, std::int32_t tokens) override {
    decoder_->copy_block(from, to, tokens);
  }

 private:
  const ModelConfig config_;
  const tensor::Checkpoint checkpoint_;
  std::optional<Decoder> decoder_;
  std::optional<VisionTower> tower_;
  backend::Activation embeddings_;  ///< [embedding_rows, H] encoder cache
};

}  // namespace

std::unique_ptr<Model> load_model(const std::string& folder, const ModelConfig& config,
                                  const ModelLimits& limits, backend::Backend& backend) {
  return std::make_unique<LoadedModel>(folder, config, limits, backend);
}

}  // namespace assize::model
