#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace assize::text {

/// Turns ids into text one at a time and never splits a UTF-8 character: the concatenation of all push() and
/// the finish() equals Tokenizer::decode of all ids. `tokenizer` must outlive it.
class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, DecodeSpecial special = DecodeSpecial::skip)
      : tokenizer_(&tokenizer), special_(special) {}

  /// The characters that `id` completes; bytes that may still become a character are held back.
  std::string push(std::int32_t id);
  /// What was held back, as U+FFFD; the detokenizer is then as new.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  DecodeSpecial special_;
  std::string held_;  ///< at most 3 bytes: an unfinished character
};

}  // namespace assize::text
