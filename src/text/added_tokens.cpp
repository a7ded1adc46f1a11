#include "text/added_tokens.h"

#include <algorithm>

#include "text/utf8.h"

namespace assize::text {

namespace {

// The character that ends at `end`.
Utf8Step step_before(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return decode_utf8(text.substr(begin, end - begin));
}

bool stands_alone(std::string_view text, Range range) {
  if (range.begin_bytes > 0 && is_word(step_before(text, range.begin_bytes).code_point)) return false;
  return range.end_bytes == text.size() || !is_word(decode_utf8(text.substr(range.end_bytes)).code_point);
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  const auto first = [](const AddedToken& token) { return static_cast<unsigned char>(token.content[0]); };
  std::stable_sort(tokens_.begin(), tokens_.end(), [&](const AddedToken& a, const AddedToken& b) {
    return first(a) != first(b) ? first(a) < first(b) : a.content.size() > b.content.size();
  });
  first_of_byte_.assign(257, 0);
  for (const AddedToken& token : tokens_) ++first_of_byte_[first(token) + 1u];
  for (std::size_t b = 1; b < first_of_byte_.size(); ++b) first_of_byte_[b] += first_of_byte_[b - 1];
}

std::vector<AddedMatch> AddedTokenMatcher::find(std::string_view text, std::span<const Range> trusted) const {
  std::vector<AddedMatch> matches;
  std::size_t taken = 0;  // end of the last match with its white space
  for (const Range& range : trusted) {
    for (std::size_t at = range.begin_bytes; at < range.end_bytes;) {
      const auto byte = static_cast<unsigned char>(text[at]);
      const AddedToken* found = nullptr;
      for (std::uint32_t i = first_of_byte_[byte]; i < first_of_byte_[byte + 1u] && !found; ++i) {
        const std::string_view content = tokens_[i].content;
        if (content.size() <= range.end_bytes - at && text.substr(at, content.size()) == content)
          found = &tokens_[i];
      }
      if (!found) {
        ++at;
        continue;
      }
      AddedMatch match{{at, at + found->content.size()}, found->id};
      at = match.range.end_bytes;
      if (found->single_word && !stands_alone(text, match.range)) continue;
      if (found->lstrip) {
        while (match.range.begin_bytes > taken) {
          const Utf8Step step = step_before(text, match.range.begin_bytes);
          if (!is_white_space(step.code_point)) break;
          match.range.begin_bytes -= step.bytes;
        }
      }
      if (found->rstrip) {
        while (match.range.end_bytes < text.size()) {
          const Utf8Step step = decode_utf8(text.substr(match.range.end_bytes));
          if (!is_white_space(step.code_point)) break;
          match.range.end_bytes += step.bytes;
        }
      }
      match.range.begin_bytes = std::max(match.range.begin_bytes, taken);
      match.range.end_bytes = std::max(match.range.end_bytes, match.range.begin_bytes);
      taken = match.range.end_bytes;
      matches.push_back(match);
    }
  }
  return matches;
}

}  // namespace assize::text
