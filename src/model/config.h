#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace assize::model {

enum class Architecture { llama, qwen2, qwen2_5_vl };

/// Vision tower of Qwen2.5-VL (models.md 2.1); depth 0 where the model has none.
struct VisionConfig {
  std::int32_t depth = 0;
  std::int32_t hidden = 0;
  std::int32_t intermediate = 0;
  std::int32_t heads = 0;
  std::int32_t patch_size_px = 14;
  std::int32_t temporal_patch_size = 2;
  std::int32_t merge_size = 2;
  std::int32_t window_size_px = 112;
  std::vector<std::int32_t> full_attention_blocks;
  std::int32_t out_hidden = 0;
};

/// What config.json and generation_config.json say about a judge, checked.
struct ModelConfig {
  Architecture architecture = Architecture::llama;
  std::int32_t vocab_size = 0;
  std::int32_t hidden = 0;
  std::int32_t intermediate = 0;
  std::int32_t layers = 0;
  std::int32_t heads = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;
  float rms_epsilon = 0;
  bool qkv_bias = false;
  bool output_bias = false;  ///< o_proj has a bias (Llama with attention_bias)
  bool tied_head = false;
  std::int32_t weight_element_bytes = 2;  ///< of the stored weights, as `torch_dtype` or `dtype` says
  std::int32_t max_positions = 0;
  backend::Rope rope;
  VisionConfig vision;
  std::int32_t image_token_id = -1;
  std::int32_t video_token_id = -1;
  std::int32_t vision_start_token_id = -1;
  std::vector<std::int32_t> stop_ids;           ///< eos ids of generation_config.json, else config.json
  std::vector<std::string> ignored_generation;  ///< "repetition_penalty 1.05": values not used, to be named
};

/// Reads `folder`/config.json and generation_config.json. Throws Error naming file and key.
ModelConfig read_config(const std::string& folder);

/// Three-row positions of a prompt (models.md 2.5): `grids` holds t, h, w (patches) of each picture in order.
/// Returns 3 x ids.size() values; sets next_position. Throws Error if placeholders and grids do not match.
std::vector<std::int32_t> rope_positions(const ModelConfig& config, const std::vector<std::int32_t>& ids,
                                         const std::vector<std::array<std::int32_t, 3>>& grids,
                                         std::int32_t& next_position);

}  // namespace assize::model
