// Any bytes as a tokenizer.json, then (after the first zero byte) a text: the file is read or refused; what was read
// encodes the text or gives up; what was encoded decodes the same whole and token by token.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

using namespace assize::text;

namespace {

void check_text(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  const std::string whole = tokenizer.decode(ids, DecodeSpecial::keep);
  Detokenizer detokenizer(tokenizer, DecodeSpecial::keep);
  std::string parts;
  for (const std::int32_t id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.vocab_size()) std::abort();
    parts += detokenizer.push(id);
  }
  parts += detokenizer.finish();
  if (parts != whole || !is_utf8(whole)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = std::min(all.find('\0'), all.size());
  const std::string_view text = all.substr(std::min(zero + 1, all.size()));
  try {
    const auto tokenizer = Tokenizer::parse(all.substr(0, zero), "fuzz");
    check_text(tokenizer, tokenizer.encode(text, SpecialTokens::parse));
    PromptText prompt(text.substr(0, text.size() / 2), Trust::trusted);
    prompt.append(text.substr(text.size() / 2), Trust::untrusted);
    check_text(tokenizer, tokenizer.encode(prompt));
  } catch (const assize::base::Error&) {
  }
  return 0;
}
