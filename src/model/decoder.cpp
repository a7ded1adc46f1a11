#include "model/decoder.h"

#include <algorithm>

#include <fmt/format.h>

#include "backend/split.h"
#include "base/error.h"

namespace assize::model {

using backend::LinearPart;

Decoder::Decoder(const ModelConfig& config, Weights& weights, const ModelLimits& limits,
                 backend::Backend& backend)
    : config_(config),
      limits_(limits),
      backend_(backend),
      shard_(shard_heads(config, backend.group().rank(), backend.group().size())) {
  const std::int64_t V = config.vocab_size, H = config.hidden;
  const auto& table = weights.require("model.embed_tokens.weight", {V, H});
  embedding_ = backend.make_embedding(table);
  for (std::int32_t i = 0; i < config.layers; ++i) layers_.push_back(load_layer(i, weights));
  final_norm_ = backend.upload_vector(weights.require("model.norm.weight", {H}));
  // A head that is absent is tied, whatever the configuration says.
  const tensor::TensorView* head = config.tied_head ? nullptr : weights.find("lm_head.weight", {V, H});
  head_ = backend.pack_head(head ? *head : table);
  weights.release(head ? *head : table);
  if (config.tied_head) weights.ignore("lm_head.weight");

  cache_ = backend.make_kv_cache(limits.kv_blocks, config.layers, shard_.kv_heads, config.head_dim);

  const std::int32_t T = limits.step_rows, S = limits.sample_rows;
  const auto I = static_cast<std::int32_t>(
      backend::shard_range(config.intermediate, backend.group().rank(), backend.group().size()).size());
  h_ = backend.allocate(T, config.hidden);
  z_ = backend.allocate(T, config.hidden);
  delta_ = backend.allocate(T, config.hidden);
  qkv_ = backend.allocate(T, (shard_.heads + 2 * shard_.kv_heads) * config.head_dim);
  attended_ = backend.allocate(T, shard_.heads * config.head_dim);
  gate_up_ = backend.allocate(T, 2 * I);
  act_ = backend.allocate(T, I);
  if (limits.embedding_rows > 0) media_ = backend.allocate(T, config.hidden);
  last_attended_ = backend.allocate(S, shard_.heads * config.head_dim);
  last_h_ = backend.allocate(S, config.hidden);
  last_ = backend.allocate(S, config.hidden);
  for (auto* rows : {&media_rows_, &media_sources_}) rows->reserve(static_cast<std::size_t>(T));
  sample_rows_.reserve(static_cast<std::size_t>(S));
  samples_.reserve(static_cast<std::size_t>(S));
}

Decoder::Layer Decoder::load_layer(std::int32_t index, Weights& weights) {
  const std::int64_t H = config_.hidden, I = config_.intermediate, d = config_.head_dim;
  const std::int64_t q_rows = config_.heads * d, kv_rows = config_.kv_heads * d;
  const std::string name = "model.layers." + std::to_string(index) + ".";
  const auto bias = [&](const std::string& linear, std::int64_t rows, bool has) {
    return has ? &weights.require(name + linear + ".bias", {rows}) : nullptr;
  };
  const auto weight = [&](const std::string& linear, std::int64_t rows, std::int64_t columns) {
    return &weights.require(name + linear + ".weight", {rows, columns});
  };

  Layer layer;
  layer.attention_norm = backend_.upload_vector(weights.require(name + "input_layernorm.weight", {H}));
  layer.mlp_norm = backend_.upload_vector(weights.require(name + "post_attention_layernorm.weight", {H}));

  const std::int64_t q_begin = shard_.first_head * d, q_end = q_begin + shard_.heads * d;
  const std::int64_t kv_begin = shard_.first_kv_head * d, kv_end = kv_begin + shard_.kv_heads * d;
  const bool qkv_bias = config_.qkv_bias;
  const LinearPart qkv[] = {
      {weight("self_attn.q_proj", q_rows, H), bias("self_attn.q_proj", q_rows, qkv_bias), q_begin, q_end},
      {weight("self_attn.k_proj", kv_rows, H), bias("self_attn.k_proj", kv_rows, qkv_bias), kv_begin, kv_end},
      {weight("self_attn.v_proj", kv_rows, H), bias("self_attn.v_proj", kv_rows, qkv_bias), kv_begin,
       kv_end}};
  layer.qkv = backend_.pack_columns(qkv);

  const auto* output = weight("self_attn.o_proj", H, q_rows);
  layer.output = backend_.pack_rows(*output, bias("self_attn.o_proj", H, config_.output_bias));

  const auto part = backend::shard_range(I, backend_.group().rank(), backend_.group().size());
  const LinearPart gate{weight("mlp.gate_proj", I, H), nullptr, part.begin, part.end},
      up{weight("mlp.up_proj", I, H), nullptr, part.begin, part.end};
  layer.gate_up = backend_.pack_gated(gate, up);

  const auto* down = weight("mlp.down_proj", H, I);
  layer.down = backend_.pack_rows(*down, nullptr);

  for (const LinearPart& packed : qkv) weights.release(*packed.weight);
  for (const LinearPart& packed : {gate, up}) weights.release(*packed.weight);
  weights.release(*output);
  weights.release(*down);
  return layer;
}

void Decoder::check(const StepPlan& plan, std::size_t results) const {
  const auto T = static_cast<std::size_t>(plan.rows());
  for (const std::int32_t id : plan.ids) {
    if (id < config_.vocab_size) continue;
    throw base::Error(
        fmt::format("token id {} is outside the judge's vocabulary of {}: tokenizer.json does not belong "
                    "to the model",
                    id, config_.vocab_size));
  }
  const bool sizes_fit = plan.positions.size() == 3 * T && plan.slots.size() == T &&
                         plan.embedded.size() <= T && (plan.embedded.empty() || limits_.embedding_rows > 0) &&
                         results == plan.samples.size();
  if (sizes_fit && plan.rows() <= limits_.step_rows &&
      plan.samples.size() <= static_cast<std::size_t>(std::min(limits_.sample_rows, limits_.step_rows))) {
    return;
  }
  throw base::Error(
      fmt::format("internal: a step plan of {} rows ({} positions, {} slots, {} samples, {} results) does "
                  "not fit the model's {} rows and {} samples",
                  T, plan.positions.size(), plan.slots.size(), plan.samples.size(), results,
                  limits_.step_rows, limits_.sample_rows),
      base::ErrorKind::failed);
}

void Decoder::forward(const StepPlan& plan, backend::Activation embeddings,
                      std::span<backend::SampleResult> results) {
  check(plan, results.size());
  const std::int32_t T = plan.rows();
  const std::int32_t A = shard_.heads, K = shard_.kv_heads, d = config_.head_dim;
  const float epsilon = config_.rms_epsilon;

  backend_.embed(*embedding_, plan.ids, h_);  // h [T, H]
  if (!plan.embedded.empty()) {
    media_rows_.clear();
    media_sources_.clear();
    for (const EmbeddedRow& entry : plan.embedded) {
      media_rows_.push_back(entry.row);
      media_sources_.push_back(entry.embedding_row);
    }
    backend_.gather_rows(embeddings, media_sources_, media_);
    backend_.scatter_rows(media_, media_rows_, h_);
  }

  backend_.rms_norm(h_, *layers_.front().attention_norm, epsilon, T, z_);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const auto index = static_cast<std::int32_t>(i);

    backend_.linear(*layer.qkv, z_, T, qkv_);  // q | k | v [T, (A + 2K) d]
    backend_.rope_and_store(qkv_, T, A, K, d, config_.rope, plan.positions, plan.slots, *cache_, index);
    // Behind the last keys and values only the rows go on whose next token is wanted.
    if (i + 1 == layers_.size()) break;
    backend_.attention(qkv_, A, K, d, plan.attention, *cache_, index, attended_);  // [T, A d]
    backend_.linear(*layer.output, attended_, T, delta_);                          // [T, H]
    backend_.add_rms_norm(h_, delta_, *layer.mlp_norm, epsilon, T, z_);

    backend_.linear_swiglu(*layer.gate_up, z_, T, gate_up_, act_);  // [T, I]
    backend_.linear(*layer.down, act_, T, delta_);                  // [T, H]
    backend_.add_rms_norm(h_, delta_, *layers_[i + 1].attention_norm, epsilon, T, z_);
  }

  sample_rows_.clear();
  samples_.assign(plan.samples.begin(), plan.samples.end());
  for (backend::SampleRow& sample : samples_) {
    sample_rows_.push_back(sample.row);
    sample.row = static_cast<std::int32_t>(sample_rows_.size()) - 1;
  }
  if (samples_.empty()) return;
  const Layer& layer = layers_.back();
  const auto S = static_cast<std::int32_t>(samples_.size());
  backend_.attention(qkv_, A, K, d, plan.attention, *cache_, config_.layers - 1, attended_);
  backend_.gather_rows(attended_, sample_rows_, last_attended_);  // [S, A d]
  backend_.gather_rows(h_, sample_rows_, last_h_);                // [S, H]
  backend_.linear(*layer.output, last_attended_, S, delta_);
  backend_.add_rms_norm(last_h_, delta_, *layer.mlp_norm, epsilon, S, z_);
  backend_.linear_swiglu(*layer.gate_up, z_, S, gate_up_, act_);
  backend_.linear(*layer.down, act_, S, delta_);
  backend_.add_rms_norm(last_h_, delta_, *final_norm_, epsilon, S, last_);
  backend_.sample(*head_, last_, samples_, results);
}

std::vector<float> Decoder::logits(std::int32_t index) const { return backend_.logits(*head_, last_, index); }

void Decoder::copy_block(std::int32_t from, std::int32_t to, std::int32_t tokens) {
  backend_.copy_block(*cache_, from, to, tokens);
}

std::size_t Decoder::weight_bytes() const {
  std::size_t bytes = embedding_->bytes + head_->bytes;
  for (const Layer& layer : layers_) {
    bytes += layer.qkv->bytes + layer.output->bytes + layer.gate_up->bytes + layer.down->bytes;
  }
  const std::size_t norms = 2 * layers_.size() + 1;
  return bytes + norms * static_cast<std::size_t>(config_.hidden) * sizeof(float);
}

}  // namespace assize::model
