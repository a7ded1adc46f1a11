#include "engine/budget_forcing.h"

namespace assize::engine {

std::optional<TakeBack> take_back(const std::vector<std::int32_t>& ids, const text::Tokenizer& tokenizer,
                                  const BudgetForcing& forcing) {
  std::string tail;
  for (std::size_t kept = ids.size(); kept-- > 0;) {
    if (tokenizer.is_special(ids[kept])) continue;  // not part of the text
    tail.insert(0, tokenizer.bytes_of(ids[kept]));
    const std::size_t at = tail.find(forcing.end);
    if (at == std::string::npos) continue;
    return TakeBack{kept, tokenizer.encode(tail.substr(0, at) + forcing.instead, text::SpecialTokens::as_text)};
  }
  return std::nullopt;
}

}  // namespace assize::engine
