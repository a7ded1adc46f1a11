#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

namespace assize::app {

/// What `assize generate` is asked for.
struct GenerateOptions {
  std::string judge_folder;  ///< Hugging Face layout
  std::string prompts_file;  ///< JSONL, one prompt a line
  int max_new_tokens = 64;   ///< of each prompt
  float temperature = 0;     ///< 0: greedy
  float top_p = 1;
  std::uint64_t seed = 0;       ///< of the sampling noise
  int logprobs = 0;             ///< report the K most likely ids of each step, 0 to 32
  int threads = 0;              ///< 0: all cores
  std::string device = "cpu";   ///< "auto", "cpu", "cuda" or "cuda-emulated"
  std::string instruction_set;  ///< "avx2", "avx512" or "" for the best there is
};

/// Generates for each line {"prompt": raw text with the model's own media placeholders, one a picture,
/// "images": [paths, relative to the file]} a line {"prompt_ids", "image_grid": [[t, h, w] a picture], "ids",
/// "text", "finish": "stop" | "length" | "too_long" | "bad_numbers" | "error", "top_logprobs": [[id, logprob]
/// x K a step]} on `out`, in the order of the file; a prompt that fails also has "error". The tokens that the
/// tokenizer puts before a text are added where the prompt does not begin with them. Returns 0, or 1 if a
/// prompt failed. Throws Error (usage) for a broken line, with file and line, before the judge is loaded.
int generate(const GenerateOptions& options, std::ostream& out);

}  // namespace assize::app
