#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt_text.h"

namespace assize::text {

/// Whether added tokens ("<|im_end|>", "<think>") that occur in a text become their ids.
enum class SpecialTokens {
  parse,    ///< yes: for text of ours
  as_text,  ///< no: the characters are encoded like any others; for text from data
};

/// Whether decoding writes special tokens.
enum class DecodeSpecial { keep, skip };

/// Byte-level BPE of a Hugging Face tokenizer.json (families GPT-2, SmolLM2, Llama 3, Qwen2, Qwen2.5).
/// Copies share one immutable table; all const functions may be called from any thread.
class Tokenizer {
 public:
  /// Reads a tokenizer.json. Throws Error with the path and the key for anything that is broken or that this
  /// class does not compute exactly as the reference does.
  static Tokenizer load(const std::filesystem::path& file);
  /// Same from memory; `name` stands in the errors.
  static Tokenizer parse(std::string_view json, const std::string& name);

  /// The ids of `text`, without the tokens that the post-processor would put around it. Invalid UTF-8 is read
  /// as U+FFFD. Throws Error (kind failed) when the pre-tokenizer's regular expression gives up.
  std::vector<std::int32_t> encode(std::string_view text, SpecialTokens special) const;
  /// The ids of a prompt: the whole text is encoded as one, but added tokens are recognised only where they
  /// lie completely inside trusted text.
  std::vector<std::int32_t> encode(const PromptText& prompt) const;

  /// The text of `ids` as UTF-8; invalid bytes become U+FFFD (utf8.h). Ids without a token give nothing.
  std::string decode(std::span<const std::int32_t> ids, DecodeSpecial special) const;
  /// The bytes that a token stands for; an added token stands for its own text. Empty for ids without a
  /// token.
  std::string_view bytes_of(std::int32_t id) const;
  /// True for added tokens with the flag "special".
  bool is_special(std::int32_t id) const;
  /// The id of a token as tokenizer.json spells it ("<|im_end|>", "Ġthe").
  std::optional<std::int32_t> id_of(std::string_view token) const;
  /// One more than the largest id.
  std::size_t vocab_size() const;

  /// What the post-processor (TemplateProcessing) puts before and after a single text, for example the
  /// begin-of-text id of Llama 3. Chat text brings its own; raw prompts may want these.
  const std::vector<std::int32_t>& ids_before_text() const;
  const std::vector<std::int32_t>& ids_after_text() const;

 private:
  struct Tables;
  explicit Tokenizer(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {}
  std::shared_ptr<const Tables> tables_;
};

}  // namespace assize::text
