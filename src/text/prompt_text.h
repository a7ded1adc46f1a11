#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assize::text {

/// Who wrote a piece of a prompt: decides whether added tokens ("<|im_end|>") are recognised in it.
enum class Trust : std::uint8_t {
  trusted,    ///< ours (chat format, judge prompt): added tokens become their ids
  untrusted,  ///< from data (questions, candidates): added tokens are spelled out as ordinary text
};

/// A run of text with one author.
struct Segment {
  std::string text;  ///< UTF-8
  Trust trust = Trust::trusted;

  bool operator==(const Segment&) const = default;
};

/// A rendered prompt. Its text is the concatenation of the segments; borders between segments have no effect
/// on the ids other than where added tokens are recognised.
struct PromptText {
  std::vector<Segment> segments;

  PromptText() = default;
  /// One segment.
  PromptText(std::string_view text, Trust trust) { append(text, trust); }

  PromptText& append(std::string_view text, Trust trust) {
    if (text.empty()) return *this;
    if (!segments.empty() && segments.back().trust == trust) {
      segments.back().text += text;
    } else {
      segments.push_back({std::string(text), trust});
    }
    return *this;
  }
  PromptText& append(const PromptText& other) {
    for (const Segment& segment : other.segments) append(segment.text, segment.trust);
    return *this;
  }
  /// The whole text, whoever wrote it.
  std::string plain() const {
    std::string all;
    for (const Segment& segment : segments) all += segment.text;
    return all;
  }

  bool operator==(const PromptText&) const = default;
};

}  // namespace assize::text
