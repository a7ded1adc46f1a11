#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/temporary_folder.h"

namespace assize::support {

/// The tiny judges of the tests: hidden 256, 3 layers, 4 query and 2 KV heads of 64, vocabulary 512. A byte
/// is the token of its value; then come the special tokens below, then reserved ones.
enum class TinyKind {
  llama,       ///< LlamaForCausalLM, tied head
  llama3,      ///< LlamaForCausalLM, llama3 RoPE scaling, own head
  qwen2,       ///< Qwen2ForCausalLM, biases, own head
  qwen2_5_vl,  ///< Qwen2_5_VLForConditionalGeneration: vision heads of 80, block 1 of 3 full, others windowed
};

/// Ids of the special tokens of every tiny judge.
enum TinyToken : std::int32_t {
  tiny_end_of_text = 256,
  tiny_im_start,
  tiny_im_end,
  tiny_vision_start,
  tiny_vision_end,
  tiny_image_pad,
  tiny_video_pad,
};

/// "llama", "llama3", "qwen2", "qwen2_5_vl".
std::string_view name(TinyKind kind);

/// Element `index` of the near-normal sequence `name` (mean 0, deviation 1), the same bit for bit as `normal`
/// in tools/golden/tiny_models.py.
double tiny_normal(std::string_view name, std::uint64_t index);

/// Writes a complete judge in Hugging Face layout into `folder` (made if absent): config.json,
/// generation_config.json, tokenizer.json, model.safetensors (BF16, about 4 MB) and, for the vision-language
/// kind, preprocessor_config.json. The files are the same bytes as those of tools/make-tiny-model.
void write_tiny_model(TinyKind kind, const std::filesystem::path& folder);

/// The tokenizer.json of every tiny judge.
std::string tiny_tokenizer_json();

}  // namespace assize::support
