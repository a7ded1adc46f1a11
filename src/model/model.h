#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "model/config.h"
#include "model/model_input.h"

namespace assize::model {

/// Media embeddings that take the place of placeholder rows: row `row` of the step gets embedding row
/// `embedding_row` of the encoder cache.
struct EmbeddedRow {
  std::int32_t row = 0;
  std::int32_t embedding_row = 0;
};

/// What one step computes: T rows of several sequences (chunks of prompts and single decode tokens mixed).
/// Pure host data, made by the engine.
struct StepPlan {
  std::vector<std::int32_t> ids;        ///< [T], -1 where an EmbeddedRow fills the row
  std::vector<std::int32_t> positions;  ///< [3*T] all t, all h, all w
  std::vector<std::int32_t> slots;      ///< [T] KV slot: block * kBlockTokens + entry
  std::vector<EmbeddedRow> embedded;
  backend::AttentionPlan attention;
  std::vector<backend::SampleRow>
      samples;  ///< rows whose next token is wanted; SampleRow::row is a row of the step
  std::int32_t rows() const { return static_cast<std::int32_t>(ids.size()); }
};

/// Sizes that fix the memory of a model.
struct ModelLimits {
  std::int32_t step_rows = 512;     ///< T at most
  std::int32_t sample_rows = 64;    ///< sampled rows at most
  std::int32_t kv_blocks = 0;       ///< blocks of 64 tokens
  std::int32_t image_patches = 0;   ///< largest picture, in patches (0: no pictures)
  std::int32_t embedding_rows = 0;  ///< rows of the encoder cache (media tokens kept)
};

/// A loaded judge on one rank: text decoder and, where the architecture has one, vision tower.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelConfig& config() const = 0;
  virtual std::size_t weight_bytes() const = 0;  ///< packed, of this rank
  virtual std::size_t kv_bytes() const = 0;

  /// Encodes a picture into embedding rows [embedding_row, + tokens) of the encoder cache.
  virtual void encode_image(const media::ImagePatches& image, std::int32_t embedding_row) = 0;
  /// One step. results.size() == plan.samples.size().
  virtual void forward(const StepPlan& plan, std::span<backend::SampleResult> results) = 0;
  /// Copies the first `tokens` entries of a KV block to another, in all layers (forks).
  virtual void copy_block(std::int32_t from, std::int32_t to, std::int32_t tokens) = 0;
};

/// Bytes of weights of one rank, the embedding table included (CPUs read it from the mapped file); from the
/// configuration only. Biases and norms are left out. Throws Error if the degree does not divide the heads.
std::size_t estimate_weight_bytes(const ModelConfig& config, int tensor_parallel);
/// KV bytes of one block on one rank. Throws Error if the degree does not divide the heads.
/// `value_bytes`: of one value on the device (backend::Backend::value_bytes).
std::size_t kv_block_bytes(const ModelConfig& config, int tensor_parallel, std::size_t value_bytes = sizeof(float));
/// Bytes of the buffers of one rank: the activations of a step, the encoder cache, and those of the
/// vision tower for the largest picture. What the backend needs for itself comes on top. Throws Error as
/// above.
std::size_t buffer_bytes(const ModelConfig& config, const ModelLimits& limits, int tensor_parallel,
                         std::size_t value_bytes = sizeof(float));

/// Loads the judge in `folder` (Hugging Face layout). Throws Error naming a missing or misshapen tensor with
/// expected and actual shape, a checkpoint tensor that the architecture does not use, and a tensor-parallel
/// degree that does not divide the heads. Without `limits.image_patches` the vision tower is left out.
/// `backend` must outlive the model.
std::unique_ptr<Model> load_model(const std::string& folder, const ModelConfig& config,
                                  const ModelLimits& limits, backend::Backend& backend);

}  // namespace assize::model
