#include "text/pre_tokenizer.h"

#include "text/utf8.h"

namespace assize::text {

namespace {

void find(const RegexSplit& step, std::string_view text, std::vector<Range>& found) {
  step.regex.find_all(text, found);
}

void find(const DigitSplit&, std::string_view text, std::vector<Range>& found) {
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Step step = decode_utf8(text.substr(i));
    if (is_numeric(step.code_point)) found.push_back({i, i + step.bytes});
    i += step.bytes;
  }
}

SplitInvert invert_of(const RegexSplit& step) { return step.invert; }
SplitInvert invert_of(const DigitSplit&) { return SplitInvert::no; }

// Appends the pieces of `text` that the found ranges leave or make.
void cut(std::string_view text, const std::vector<Range>& found, SplitBehavior behavior, SplitInvert invert,
         std::vector<std::string_view>& pieces) {
  std::size_t piece_begin = 0;  // of the open piece, for contiguous
  bool open_is_match = false, any_open = false;
  const auto add = [&](std::size_t begin, std::size_t end, bool is_match) {
    if (invert == SplitInvert::yes) is_match = !is_match;
    switch (behavior) {
      case SplitBehavior::isolated:
        if (begin < end) pieces.push_back(text.substr(begin, end - begin));
        break;
      case SplitBehavior::removed:
        if (begin < end && !is_match) pieces.push_back(text.substr(begin, end - begin));
        break;
      case SplitBehavior::contiguous:
        if (any_open && is_match == open_is_match) break;
        if (piece_begin < begin) pieces.push_back(text.substr(piece_begin, begin - piece_begin));
        piece_begin = begin;
        open_is_match = is_match;
        any_open = true;
        break;
    }
  };
  std::size_t previous = 0;
  for (const Range& range : found) {
    if (previous != range.begin_bytes) add(previous, range.begin_bytes, false);
    add(range.begin_bytes, range.end_bytes, true);
    previous = range.end_bytes;
  }
  if (previous != text.size()) add(previous, text.size(), false);
  if (behavior == SplitBehavior::contiguous && piece_begin < text.size())
    pieces.push_back(text.substr(piece_begin));
}

}  // namespace

void pre_tokenize(const std::vector<SplitStep>& steps, std::string_view text,
                  std::vector<std::string_view>& pieces) {
  pieces.clear();
  if (text.empty()) return;
  pieces.push_back(text);
  std::vector<std::string_view> before;
  std::vector<Range> found;
  for (const SplitStep& step : steps) {
    before.swap(pieces);
    pieces.clear();
    for (const std::string_view piece : before) {
      std::visit(
          [&](const auto& s) {
            found.clear();
            find(s, piece, found);
            cut(piece, found, s.behavior, invert_of(s), pieces);
          },
          step);
    }
  }
}

}  // namespace assize::text
