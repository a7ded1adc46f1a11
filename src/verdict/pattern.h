#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace assize::verdict {

/// A regular expression that is safe on text that a model wrote: it is run as a set of parallel threads
/// (Pike 1987; Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009), so a search takes at
/// most program size x text length steps and constant stack, whatever the text.
///
/// Syntax (the common part of Python and ECMAScript), over bytes: literals, . (no newline), [a-z] [^a-z],
/// \d \s \w \D \S \W \n \t \r \b \B ^ $ (whole text), ( ), (?: ), |, * + ? {m} {m,} {m,n} and their lazy
/// forms,
/// (?i) at the start. Leftmost match, alternatives in order. No back-references and no look-around.
class Pattern {
 public:
  /// Throws base::Error with the position for what is not understood or grows beyond 2,000 instructions.
  explicit Pattern(std::string_view expression);

  /// Byte ranges in the text: [begin, end) of the match, and of the first group if it took part.
  struct Match {
    std::size_t begin = 0, end = 0;
    std::optional<std::array<std::size_t, 2>> group;

    /// The first group, or the whole match where the pattern has no group.
    std::string_view answer(std::string_view text) const;
  };

  /// The first match that begins at or after `from`.
  std::optional<Match> find(std::string_view text, std::size_t from = 0) const;

  /// All matches that do not overlap, from the left; behind an empty match the search goes on one byte
  /// further.
  std::vector<Match> find_all(std::string_view text) const;

  /// One step of the compiled program.
  struct Instruction {
    enum class Op : std::uint8_t { byte_set, split, jump, save, begin, end, word_edge, no_word_edge, match };
    Op op = Op::match;
    std::uint32_t first = 0;   ///< byte_set: index of the set; save: slot; jump, split: preferred target
    std::uint32_t second = 0;  ///< split: other target
  };

 private:
  friend class PatternCompiler;
  std::vector<Instruction> program_;
  std::vector<std::bitset<256>> sets_;
  std::bitset<256> first_bytes_;  ///< bytes a match can begin with
  bool can_be_empty_ = false;
};

}  // namespace assize::verdict
