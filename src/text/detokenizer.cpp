#include "text/detokenizer.h"

#include <utility>

#include "text/utf8.h"

namespace assize::text {

std::string Detokenizer::push(std::int32_t id) {
  if (special_ == DecodeSpecial::skip && tokenizer_->is_special(id)) return {};
  held_ += tokenizer_->bytes_of(id);
  const std::size_t whole = held_.size() - unfinished_utf8_bytes(held_);
  const std::string out = replace_invalid_utf8(std::string_view(held_).substr(0, whole));
  held_.erase(0, whole);
  return out;
}

std::string Detokenizer::finish() { return replace_invalid_utf8(std::exchange(held_, {})); }

}  // namespace assize::text
