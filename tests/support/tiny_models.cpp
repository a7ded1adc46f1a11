#include "support/tiny_models.h"

#include <stdlib.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "base/noise.h"
#include "tensor/dtype.h"

namespace assize::support {

using nlohmann::json;

namespace {

constexpr std::int64_t hidden = 256, intermediate = 384, layers = 3, vocab = 512;
constexpr std::int64_t heads = 4, kv_heads = 2, head_dim = 64;
constexpr std::int64_t vision_hidden = 160, vision_intermediate = 224, vision_heads = 2, vision_depth = 3;
const char* const special_tokens[] = {"<|endoftext|>",  "<|im_start|>",  "<|im_end|>",   "<|vision_start|>",
                                      "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"};

struct TensorSpec {
  std::string name;
  std::vector<std::int64_t> shape;
  double mean = 0;
  double deviation = 0;
};

std::vector<TensorSpec> tensor_specs(TinyKind kind) {
  std::vector<TensorSpec> specs;
  const auto norm = [&](const std::string& name, std::int64_t width) {
    specs.push_back({name, {width}, 1, 0.1});
  };
  const auto linear = [&](const std::string& name, std::int64_t rows, std::int64_t columns, bool bias,
                          double deviation = 0.1) {
    specs.push_back({name + ".weight", {rows, columns}, 0, deviation});
    if (bias) specs.push_back({name + ".bias", {rows}, 0, 0.2});
  };
  const bool qwen = kind == TinyKind::qwen2 || kind == TinyKind::qwen2_5_vl;
  specs.push_back({"model.embed_tokens.weight", {vocab, hidden}, 0, 0.2});
  for (int i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    norm(layer + "input_layernorm.weight", hidden);
    linear(layer + "self_attn.q_proj", heads * head_dim, hidden, qwen);
    linear(layer + "self_attn.k_proj", kv_heads * head_dim, hidden, qwen);
    linear(layer + "self_attn.v_proj", kv_heads * head_dim, hidden, qwen);
    linear(layer + "self_attn.o_proj", hidden, heads * head_dim, false);
    norm(layer + "post_attention_layernorm.weight", hidden);
    linear(layer + "mlp.gate_proj", intermediate, hidden, false);
    linear(layer + "mlp.up_proj", intermediate, hidden, false);
    linear(layer + "mlp.down_proj", hidden, intermediate, false);
  }
  norm("model.norm.weight", hidden);
  if (kind != TinyKind::llama) linear("lm_head", vocab, hidden, false, 0.2);
  if (kind != TinyKind::qwen2_5_vl) return specs;

  specs.push_back({"visual.patch_embed.proj.weight", {vision_hidden, 3, 2, 14, 14}, 0, 0.05});
  for (int i = 0; i < vision_depth; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    norm(block + "norm1.weight", vision_hidden);
    norm(block + "norm2.weight", vision_hidden);
    linear(block + "attn.qkv", 3 * vision_hidden, vision_hidden, true);
    linear(block + "attn.proj", vision_hidden, vision_hidden, true);
    linear(block + "mlp.gate_proj", vision_intermediate, vision_hidden, true);
    linear(block + "mlp.up_proj", vision_intermediate, vision_hidden, true);
    linear(block + "mlp.down_proj", vision_hidden, vision_intermediate, true);
  }
  norm("visual.merger.ln_q.weight", vision_hidden);
  linear("visual.merger.mlp.0", 4 * vision_hidden, 4 * vision_hidden, true);
  linear("visual.merger.mlp.2", hidden, 4 * vision_hidden, true, 0.03);
  return specs;
}

json config(TinyKind kind) {
  json text = {{"hidden_size", hidden},
               {"intermediate_size", intermediate},
               {"num_hidden_layers", layers},
               {"num_attention_heads", heads},
               {"num_key_value_heads", kv_heads},
               {"vocab_size", vocab},
               {"hidden_act", "silu"},
               {"max_position_embeddings", 4096},
               {"tie_word_embeddings", kind == TinyKind::llama},
               {"torch_dtype", "bfloat16"},
               {"bos_token_id", tiny_end_of_text},
               {"eos_token_id", tiny_im_end}};
  if (kind == TinyKind::llama || kind == TinyKind::llama3) {
    text["architectures"] = json::array({"LlamaForCausalLM"});
    text["model_type"] = "llama";
    text["rms_norm_eps"] = 1e-5;
    text["rope_theta"] = 100000.0;
    if (kind == TinyKind::llama) return text;
    text["rope_theta"] = 500000.0;
    text["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 32}};
    return text;
  }
  text["rms_norm_eps"] = 1e-6;
  text["rope_theta"] = 1000000.0;
  text["use_sliding_window"] = false;
  text["architectures"] = json::array({"Qwen2ForCausalLM"});
  text["model_type"] = "qwen2";
  if (kind == TinyKind::qwen2) return text;
  text["architectures"] = json::array({"Qwen2_5_VLForConditionalGeneration"});
  text["model_type"] = "qwen2_5_vl";
  text["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", {8, 12, 12}}};
  text["vision_start_token_id"] = tiny_vision_start;
  text["vision_end_token_id"] = tiny_vision_end;
  text["image_token_id"] = tiny_image_pad;
  text["video_token_id"] = tiny_video_pad;
  text["vision_config"] = {{"depth", vision_depth},
                           {"hidden_size", vision_hidden},
                           {"intermediate_size", vision_intermediate},
                           {"num_heads", vision_heads},
                           {"in_channels", 3},
                           {"patch_size", 14},
                           {"spatial_merge_size", 2},
                           {"temporal_patch_size", 2},
                           {"window_size", 112},
                           {"fullatt_block_indexes", json::array({1})},
                           {"hidden_act", "silu"},
                           {"out_hidden_size", hidden},
                           {"tokens_per_second", 2},
                           {"model_type", "qwen2_5_vl"}};
  return text;
}

/// The character that stands for a byte in byte-level BPE vocabularies: printable ones for themselves, the
/// others from U+0100 on, all below U+0800.
std::string byte_character(int byte, int& next_other) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const int code = printable ? byte : 256 + next_other++;
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3F))};
}

json tokenizer() {
  json added = json::array();
  const auto add = [&](const std::string& content) {
    added.push_back({{"id", 256 + added.size()},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  };
  for (const char* content : special_tokens) add(content);
  while (256 + added.size() < vocab) add("<|reserved_" + std::to_string(256 + added.size()) + "|>");

  json bytes = json::object();
  int next_other = 0;
  for (int byte = 0; byte < 256; ++byte) bytes[byte_character(byte, next_other)] = byte;
  const auto byte_level = [](bool add_prefix_space) {
    return json{{"type", "ByteLevel"},
                {"add_prefix_space", add_prefix_space},
                {"trim_offsets", true},
                {"use_regex", true}};
  };
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level(false)},
          {"post_processor", nullptr},
          {"decoder", byte_level(true)},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", bytes},
            {"merges", json::array()}}}};
}

std::string weights_file(TinyKind kind) {
  std::string header = "{", data;
  for (const TensorSpec& spec : tensor_specs(kind)) {
    const auto count = static_cast<std::size_t>(
        std::accumulate(spec.shape.begin(), spec.shape.end(), std::int64_t{1}, std::multiplies<>()));
    std::string shape;
    for (const auto size : spec.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    const std::size_t begin = data.size();
    header += std::string(header.size() > 1 ? "," : "") + "\"" + spec.name +
              "\":{\"dtype\":\"BF16\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(begin) +
              "," + std::to_string(begin + 2 * count) + "]}";
    data.resize(begin + 2 * count);
    const std::string stream = std::string(name(kind)) + ":" + spec.name;
    for (std::size_t i = 0; i < count; ++i) {
      const double value = spec.mean + spec.deviation * tiny_normal(stream, i);
      const std::uint16_t bits = tensor::f32_to_bf16(static_cast<float>(value));
      std::memcpy(data.data() + begin + 2 * i, &bits, 2);
    }
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t header_bytes = header.size();
  return std::string(reinterpret_cast<const char*>(&header_bytes), 8) + header + data;
}

void write(const std::filesystem::path& path, const std::string& contents) {
  std::ofstream out(path, std::ios::binary);
  out << contents;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

std::string_view name(TinyKind kind) {
  switch (kind) {
    case TinyKind::llama:
      return "llama";
    case TinyKind::llama3:
      return "llama3";
    case TinyKind::qwen2:
      return "qwen2";
    case TinyKind::qwen2_5_vl:
      return "qwen2_5_vl";
  }
  return "?";
}

double tiny_normal(std::string_view name, std::uint64_t index) {
  std::uint64_t stream = 0xCBF29CE484222325ull;
  for (const char c : name) stream = (stream ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  const std::uint64_t bits = base::noise_bits(stream, static_cast<std::uint32_t>(index >> 32),
                                              static_cast<std::uint32_t>(index & 0xFFFFFFFFu));
  const auto total = static_cast<std::int64_t>((bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) +
                                               ((bits >> 32) & 0xFFFF) + (bits >> 48));
  return static_cast<double>(total - 131070) / 37837.0;
}

std::string tiny_tokenizer_json() { return tokenizer().dump(); }

void write_tiny_model(TinyKind kind, const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write(folder / "config.json", config(kind).dump());
  const json generation = {{"eos_token_id", {tiny_im_end, tiny_end_of_text}}, {"repetition_penalty", 1.05}};
  write(folder / "generation_config.json", generation.dump());
  write(folder / "tokenizer.json", tiny_tokenizer_json());
  if (kind == TinyKind::qwen2_5_vl) {
    const json preprocessor = {{"image_processor_type", "Qwen2VLImageProcessor"},
                               {"min_pixels", 3136},
                               {"max_pixels", 200704},
                               {"patch_size", 14},
                               {"temporal_patch_size", 2},
                               {"merge_size", 2},
                               {"image_mean", {0.48145466, 0.4578275, 0.40821073}},
                               {"image_std", {0.26862954, 0.26130258, 0.27577711}}};
    write(folder / "preprocessor_config.json", preprocessor.dump());
  }
  write(folder / "model.safetensors", weights_file(kind));
}

}  // namespace assize::support
