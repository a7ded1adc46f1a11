#include "throughput/model_work.h"

namespace assize::throughput {

ModelWork model_work(const model::ModelConfig& config) {
  const double H = config.hidden, I = config.intermediate, L = config.layers, V = config.vocab_size, d = config.head_dim;
  const double queries = config.heads * d, keys = config.kv_heads * d;
  ModelWork work;
  const double layer_weights = L * (2 * H * queries + 2 * H * keys + 3 * H * I);
  work.layer_flop = 2 * layer_weights;
  work.head_flop = 2 * H * V;
  work.attended_flop = 4 * L * queries;
  work.weight_bytes = (layer_weights + H * V) * config.weight_element_bytes;
  work.key_bytes = 2 * L * keys * sizeof(float);

  const model::VisionConfig& v = config.vision;
  if (v.depth > 0) {
    const double D = v.hidden, merge = v.merge_size * v.merge_size;
    const double values = 3.0 * v.temporal_patch_size * v.patch_size_px * v.patch_size_px;
    const double full = static_cast<double>(v.full_attention_blocks.size());
    const double window_side = static_cast<double>(v.window_size_px) / v.patch_size_px;
    const double merger = (merge * D * merge * D + merge * D * v.out_hidden) / merge;
    work.patch_flop = 2 * (values * D + v.depth * (4 * D * D + 3 * D * v.intermediate) + merger) +
                      4 * (v.depth - full) * D * window_side * window_side;
    work.patch_pair_flop = 4 * full * D;
  }
  return work;
}

double computed_flop(const ModelWork& work, const engine::EngineCounters& c) {
  return work.layer_flop * static_cast<double>(c.rows) + work.head_flop * static_cast<double>(c.sampled) +
         work.attended_flop * static_cast<double>(c.attended) + work.patch_flop * static_cast<double>(c.patches) +
         work.patch_pair_flop * static_cast<double>(c.patch_pairs);
}

double asked_flop(const ModelWork& work, const engine::EngineCounters& c) {
  return work.layer_flop * static_cast<double>(c.finished_rows) + work.head_flop * static_cast<double>(c.output_tokens) +
         work.attended_flop * static_cast<double>(c.finished_attended) + work.patch_flop * static_cast<double>(c.patches) +
         work.patch_pair_flop * static_cast<double>(c.patch_pairs);
}

double read_bytes(const ModelWork& work, const engine::EngineCounters& c) {
  return work.weight_bytes * static_cast<double>(c.steps) + work.key_bytes * static_cast<double>(c.keys_read);
}

double perfect_flop(const ModelWork& work, const AskedWork& asked, std::uint64_t output_tokens) {
  const double later = static_cast<double>(output_tokens) - static_cast<double>(asked.calls);
  return work.layer_flop * (static_cast<double>(asked.distinct_prompt_tokens) + later) +
         work.head_flop * (static_cast<double>(asked.prompts) + later) +
         work.patch_flop * static_cast<double>(asked.patches) + work.patch_pair_flop * static_cast<double>(asked.patch_pairs);
}

}  // namespace assize::throughput
