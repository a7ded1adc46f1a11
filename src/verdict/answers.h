#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verdict/verdict.h"

namespace assize::verdict {

/// The text without blanks (space, tab, newline, carriage return) at both ends.
std::string_view trimmed(std::string_view text);

/// A plain decimal number that is the whole of `text`: [+-]digits[.digits]. Nothing else: no exponent, no
/// comma, no words; std::nullopt then, and where the number is too large for a double.
std::optional<double> plain_number(std::string_view text);

/// A score as people write it: a plain number, blanks around, or "8/10" where the denominator is `high`.
std::optional<double> score_number(std::string_view text, double high);

/// A pair choice: A, B, tie, 1, 2, or C and 0 for a tie, any of them in [[ ]], or one of the labels below.
/// "A", "B" or "tie" as shown.
std::optional<std::string> pair_choice(std::string_view text);

/// A four-way label, with or without [[ ]], blanks ignored: A>B, B<A, B>A, A<B, A=B=Good, A=B=Bad.
/// "A>B", "B>A", "A=B=Good" or "A=B=Bad" as shown.
std::optional<std::string> four_way_label(std::string_view text);

/// A ranking of `candidates` letters, each once: "CDAB", "C > D > A > B", "C, D, A, B", in [[ ]] or not.
std::optional<std::string> ranking(std::string_view text, int candidates);

/// The contents of <answer>…</answer>, in order.
struct AnswerTags {
  std::vector<std::string_view> contents;
  std::string problem;  ///< one line when a tag is not closed; empty otherwise
};
AnswerTags answer_tags(std::string_view text);

/// The text after the last </think>; all of it where the judge did not think; nothing while it still thinks
/// (std::nullopt).
std::optional<std::string_view> after_thinking(std::string_view text);

/// Builds the verdict about candidates from scores of candidates as shown.
Verdict verdict_of_scores(const std::vector<double>& shown, Protocol protocol,
                          std::span<const std::uint16_t> presentation);

/// Builds the verdict about candidates from a choice about candidates as shown (pair, label, rank).
Verdict verdict_of_choice(std::string_view shown, Protocol protocol,
                          std::span<const std::uint16_t> presentation);

/// Whether a judge answers with one number per candidate shown, rather than with a word.
bool answers_are_numbers(Protocol protocol, const ParserProfile& profile);

/// Reads with the regular expressions of the Flex-Judge scripts (RepoRule).
Verdict read_repo(std::string_view text, Protocol protocol, int candidates,
                  std::span<const std::uint16_t> presentation, RepoRule rule);

}  // namespace assize::verdict
