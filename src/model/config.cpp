#include "model/config.h"

#include <filesystem>

#include "base/error.h"
#include "model/json_section.h"
#include "model/rope.h"

namespace assize::model {

using nlohmann::json;

namespace {

constexpr std::int32_t max_vocab = 1 << 22;
constexpr std::int32_t max_width = 1 << 20;
constexpr std::int32_t max_layers = 1024;
constexpr std::int32_t max_heads = 1024;
constexpr std::int32_t max_head_dim = 1024;
/// Positions up to here are exact in f32.
constexpr std::int32_t max_context = 1 << 24;

constexpr const char* supported_architectures =
    "supported are LlamaForCausalLM, Qwen2ForCausalLM and Qwen2_5_VLForConditionalGeneration";

Architecture read_architecture(const JsonSection& top) {
  const json* names = top.find("architectures");
  if (names && names->is_array() && names->size() == 1) {
    if (names->front() == "LlamaForCausalLM") return Architecture::llama;
    if (names->front() == "Qwen2ForCausalLM") return Architecture::qwen2;
    if (names->front() == "Qwen2_5_VLForConditionalGeneration") return Architecture::qwen2_5_vl;
  }
  top.fail("architectures", supported_architectures);
}

void require_silu(const JsonSection& section) {
  if (section.text_or("hidden_act", "silu") != "silu")
    section.fail("hidden_act", "only \"silu\" is supported");
}

void read_attention(const JsonSection& text, ModelConfig& config) {
  config.heads = text.integer("num_attention_heads", 1, max_heads);
  config.kv_heads = text.integer_or("num_key_value_heads", config.heads, 1, max_heads);
  if (config.heads % config.kv_heads != 0) {
    text.fail("num_key_value_heads", "must divide num_attention_heads, " + std::to_string(config.heads));
  }
  if (!text.find("head_dim") && config.hidden % config.heads != 0) {
    text.fail("num_attention_heads", "must divide hidden_size, " + std::to_string(config.hidden));
  }
  config.head_dim = text.integer_or("head_dim", config.hidden / config.heads, 1, max_head_dim);
  if (config.head_dim < 2 || config.head_dim > max_head_dim || config.head_dim % 2 != 0) {
    text.fail("head_dim", "the head dimension (" + std::to_string(config.head_dim) +
                              ") must be even, from 2 to " + std::to_string(max_head_dim));
  }
  const bool own_bias_key =
      config.architecture == Architecture::llama && text.flag_or("attention_bias", false);
  config.output_bias = own_bias_key;
  config.qkv_bias = own_bias_key || config.architecture != Architecture::llama;

  // A window that no layer uses is no window: use_sliding_window false, or it starts above the last layer.
  if (text.flag_or("use_sliding_window", false) &&
      text.integer_or("max_window_layers", 0, 0, max_width) < config.layers) {
    text.fail("use_sliding_window", "only false is supported");
  }
  if (const json* types = text.find("layer_types")) {
    const bool known = types->is_array();
    for (std::size_t i = 0; known && i < types->size(); ++i) {
      if ((*types)[i] != "full_attention") text.fail("layer_types", "only \"full_attention\" is supported");
    }
  }
}

void read_text(const JsonSection& text, ModelConfig& config) {
  config.vocab_size = text.integer("vocab_size", 1, max_vocab);
  config.hidden = text.integer("hidden_size", 1, max_width);
  config.intermediate = text.integer("intermediate_size", 1, max_width);
  config.layers = text.integer("num_hidden_layers", 1, max_layers);
  config.rms_epsilon = static_cast<float>(text.number("rms_norm_eps", 1e-12, 0.1));
  config.max_positions = text.integer("max_position_embeddings", 1, max_context);
  require_silu(text);
  read_attention(text, config);
  if (text.flag_or("mlp_bias", false)) text.fail("mlp_bias", "only false is supported");
  config.tied_head = text.flag_or("tie_word_embeddings", false);

  const std::string type = text.text_or(text.find("dtype") ? "dtype" : "torch_dtype", "bfloat16");
  config.weight_element_bytes = type == "float32" ? 4 : 2;

  const bool is_vl = config.architecture == Architecture::qwen2_5_vl;
  const double absent_theta = config.architecture == Architecture::llama ? 10000 : 0;
  config.rope = read_rope(text, config.head_dim, is_vl, absent_theta);
}

/// Keys that a file leaves out have the defaults of the published class (savers drop values equal to them).
void read_vision(const JsonSection& vision, ModelConfig& config) {
  VisionConfig& v = config.vision;
  v.depth = vision.integer_or("depth", 32, 1, max_layers);
  v.hidden = vision.integer("hidden_size", 1, max_width);
  v.intermediate = vision.integer_or("intermediate_size", 3420, 1, max_width);
  v.heads = vision.integer_or("num_heads", 16, 1, max_heads);
  v.patch_size_px = vision.integer_or("patch_size", 14, 1, 256);
  v.temporal_patch_size = vision.integer_or("temporal_patch_size", 2, 1, 16);
  v.merge_size = vision.integer_or("spatial_merge_size", 2, 1, 16);
  v.window_size_px = vision.integer_or("window_size", 112, 1, 1 << 16);
  v.out_hidden = vision.integer_or("out_hidden_size", 3584, 1, max_width);
  v.full_attention_blocks = {7, 15, 23, 31};
  if (vision.find("fullatt_block_indexes")) {
    v.full_attention_blocks = vision.integers("fullatt_block_indexes", 0, v.depth - 1);
  }
  require_silu(vision);
  vision.integer_or("in_channels", 3, 3, 3);
  if (v.hidden % v.heads != 0 || v.hidden / v.heads % 4 != 0 || v.hidden / v.heads > max_head_dim) {
    vision.fail("num_heads", "hidden_size, " + std::to_string(v.hidden) +
                                 ", must be num_heads times a multiple of 4 up to " +
                                 std::to_string(max_head_dim));
  }
  if (v.window_size_px / v.merge_size / v.patch_size_px < 1) {
    vision.fail("window_size", "must be at least patch_size times spatial_merge_size");
  }
  if (v.out_hidden != config.hidden) {
    vision.fail("out_hidden_size", "must be hidden_size of the text model, " + std::to_string(config.hidden));
  }
}

/// eos ids of generation_config.json; names every other value it holds.
void read_generation(const std::string& path, ModelConfig& config) {
  if (!std::filesystem::exists(path)) return;
  const json file = read_json_object(path);
  const JsonSection section(path, "", {&file});
  const auto ids = section.integers("eos_token_id", 0, config.vocab_size - 1);
  if (!ids.empty()) config.stop_ids = ids;
  for (const auto& [key, value] : file.items()) {
    if (key == "eos_token_id" || key == "transformers_version" || key.starts_with("_")) continue;
    config.ignored_generation.push_back(key + " " + value.dump());
  }
}

}  // namespace

ModelConfig read_config(const std::string& folder) {
  const std::string path = (std::filesystem::path(folder) / "config.json").string();
  const json file = read_json_object(path);
  const JsonSection top(path, "", {&file});

  ModelConfig config;
  config.architecture = read_architecture(top);
  if (top.find("quantization_config"))
    top.fail("quantization_config", "quantised checkpoints are not supported");

  const json* text_config = top.find_object("text_config");
  const JsonSection text = text_config ? JsonSection(path, "", {text_config, &file}) : top;
  read_text(text, config);
  config.stop_ids = text.integers("eos_token_id", 0, config.vocab_size - 1);

  if (config.architecture == Architecture::qwen2_5_vl) {
    const json* vision_config = top.find_object("vision_config");
    if (!vision_config) top.fail("vision_config", "a Qwen2_5_VLForConditionalGeneration needs it");
    read_vision(JsonSection(path, "vision_config.", {vision_config}), config);
    config.image_token_id = top.integer("image_token_id", 0, config.vocab_size - 1);
    config.video_token_id = top.integer("video_token_id", 0, config.vocab_size - 1);
    config.vision_start_token_id = text.integer("vision_start_token_id", 0, config.vocab_size - 1);
  }
  read_generation((std::filesystem::path(folder) / "generation_config.json").string(), config);
  return config;
}

}  // namespace assize::model
