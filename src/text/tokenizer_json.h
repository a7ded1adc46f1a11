#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"

namespace assize::text {

/// What becomes of a text before it is cut into pieces.
enum class Normalizer { none, nfc };

/// Whether a piece that is a token as a whole is that token, whatever the merges say (Llama 3).
enum class IgnoreMerges { no, yes };

/// The contents of a tokenizer.json, checked.
struct TokenizerSpec {
  Normalizer normalizer = Normalizer::none;
  std::vector<SplitStep> splits;
  IgnoreMerges ignore_merges = IgnoreMerges::no;
  std::vector<std::string> tokens;           ///< spelling by id, added tokens included; empty: no such token
  std::vector<std::uint8_t> in_vocabulary;   ///< by id: 1 for tokens of the BPE model
  std::array<std::int32_t, 256> byte_ids{};  ///< -1: the vocabulary has no token for that byte
  std::vector<MergeRule> merges;
  std::vector<AddedToken> added;
  std::vector<std::int32_t> before_text, after_text;  ///< from TemplateProcessing
};

/// Reads a tokenizer.json. Throws Error (one line: `name`, key, what, what is supported) for broken files and
/// for everything that is not byte-level BPE of the families in tokenizer.h.
TokenizerSpec parse_tokenizer_json(std::string_view json, const std::string& name);

}  // namespace assize::text
