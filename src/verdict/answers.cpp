#include "verdict/answers.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace assize::verdict {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string without_blanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!is_blank(c)) out += c;
  }
  return out;
}

std::string_view without_brackets(std::string_view text) {
  if (text.size() >= 4 && text.substr(0, 2) == "[[" && text.substr(text.size() - 2) == "]]") {
    return text.substr(2, text.size() - 4);
  }
  return text;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What a label or a choice is compared as: short, without blanks and [[ ]].
std::string bare(std::string_view text) {
  if (text.size() > 200) return {};
  const std::string packed = without_blanks(text);
  return std::string(without_brackets(packed));
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> plain_number(std::string_view text) {
  std::size_t at = 0;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  const std::size_t start = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  if (at == start) return std::nullopt;
  if (at < text.size() && text[at] == '.') {
    ++at;
    while (at < text.size() && is_digit(text[at])) ++at;
  }
  if (at != text.size()) return std::nullopt;
  const std::size_t skip = text[0] == '+' ? 1 : 0;  // from_chars knows no plus sign
  double value = 0;
  const auto result = std::from_chars(text.data() + skip, text.data() + text.size(), value);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> score_number(std::string_view text, double high) {
  text = trimmed(text);
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return plain_number(text);
  const auto denominator = plain_number(trimmed(text.substr(slash + 1)));
  if (!denominator || *denominator != high) return std::nullopt;
  return plain_number(trimmed(text.substr(0, slash)));
}

std::optional<std::string> pair_choice(std::string_view text) {
  const std::string word = lower(bare(text));
  if (word == "a" || word == "1") return "A";
  if (word == "b" || word == "2") return "B";
  if (word == "c" || word == "0" || word == "tie" || word == "a=b") return "tie";
  const auto label = four_way_label(text);
  if (!label) return std::nullopt;
  return *label == "A>B" ? "A" : *label == "B>A" ? "B" : "tie";
}

std::optional<std::string> four_way_label(std::string_view text) {
  const std::string word = lower(bare(text));
  if (word == "a>b" || word == "b<a") return "A>B";
  if (word == "b>a" || word == "a<b") return "B>A";
  if (word == "a=b=good" || word == "b=a=good") return "A=B=Good";
  if (word == "a=b=bad" || word == "b=a=bad") return "A=B=Bad";
  return std::nullopt;
}

std::optional<std::string> ranking(std::string_view text, int candidates) {
  std::string letters;
  for (const char c : bare(text)) {
    if (c == '>' || c == ',') continue;
    letters += c;
  }
  std::string sorted = letters;
  std::sort(sorted.begin(), sorted.end());
  std::string wanted(static_cast<std::size_t>(candidates), 'A');
  std::iota(wanted.begin(), wanted.end(), 'A');
  if (sorted != wanted) return std::nullopt;
  return letters;
}

AnswerTags answer_tags(std::string_view text) {
  constexpr std::string_view kOpen = "<answer>", kClose = "</answer>";
  AnswerTags tags;
  for (std::size_t at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at)) {
    const std::size_t begin = at + kOpen.size();
    const std::size_t end = text.find(kClose, begin);
    const std::size_t other = text.find(kOpen, begin);
    if (end == std::string_view::npos || other < end) {
      tags.problem = "an <answer> is not closed";
      return tags;
    }
    tags.contents.push_back(text.substr(begin, end - begin));
    at = end + kClose.size();
  }
  return tags;
}

std::optional<std::string_view> after_thinking(std::string_view text) {
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  const std::size_t close = text.rfind(kClose);
  if (close != std::string_view::npos) {
    const std::string_view rest = text.substr(close + kClose.size());
    if (rest.find(kOpen) != std::string_view::npos) return std::nullopt;
    return rest;
  }
  if (text.find(kOpen) != std::string_view::npos) return std::nullopt;
  return text;
}

}  // namespace assize::verdict
