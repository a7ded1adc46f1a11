#include <algorithm>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "verdict/answers.h"
#include "verdict/pattern.h"

// The regular expressions of the public Flex-Judge scripts, as they are applied there: over the whole text,
// so that answers inside the thinking count, without a range check.
namespace assize::verdict {
namespace {

Verdict unreadable(std::string reason) { return no_verdict(VerdictStatus::unreadable, std::move(reason)); }

// Digits too many for a double are the largest double here; the scripts compare them as big integers.
double number(std::string_view digits) {
  return plain_number(digits).value_or(std::numeric_limits<double>::max());
}

std::vector<std::string_view> find_answers(const Pattern& pattern, std::string_view text) {
  std::vector<std::string_view> found;
  for (const auto& match : pattern.find_all(text)) found.push_back(match.answer(text));
  return found;
}

// MLLM-Judge batch: letters go to the numbers that were read, so one unreadable score shifts those behind it;
// by score, ties by letter, both descending.
Verdict batch_ranking(const std::vector<std::string_view>& answers,
                      std::span<const std::uint16_t> presentation) {
  std::vector<double> shown;
  for (std::size_t i = 0; i < answers.size() && i < 26; ++i) shown.push_back(number(answers[i]));
  if (shown.empty()) return unreadable("no <answer>integer</answer>");
  std::vector<std::size_t> order(shown.size());
  std::iota(order.rbegin(), order.rend(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return shown[a] > shown[b]; });
  std::string letters;
  for (const auto index : order) letters += static_cast<char>('A' + index);
  Verdict verdict = verdict_of_choice(letters, Protocol::rank, presentation);
  if (shown.size() == presentation.size())
    verdict.scores = verdict_of_scores(shown, Protocol::rank, presentation).scores;
  return verdict;
}

Verdict four_way(std::string_view text, Protocol protocol, std::span<const std::uint16_t> presentation) {
  static const Pattern kLabel(R"(<answer>(\[\[.*?\]\])</answer>)");
  const auto match = kLabel.find(text);
  if (!match) return unreadable("no <answer>[[label]]</answer>");
  const auto label = match->answer(text);
  const std::string_view word = label == "[[A>B]]" || label == "[[B<A]]"   ? "A>B"
                                : label == "[[A<B]]" || label == "[[B>A]]" ? "B>A"
                                : label == "[[A=B=Good]]"                  ? "A=B=Good"
                                                                           : "A=B=Bad";
  if (protocol == Protocol::label) return verdict_of_choice(word, protocol, presentation);
  return verdict_of_choice(word == "A>B" ? "A" : word == "B>A" ? "B" : "tie", protocol, presentation);
}

Verdict first_number(std::string_view text, const Pattern& pattern,
                     std::span<const std::uint16_t> presentation) {
  const auto match = pattern.find(text);
  if (!match) return unreadable("no <answer>number</answer>");
  return verdict_of_scores({number(match->answer(text))}, Protocol::score, presentation);
}

}  // namespace

Verdict read_repo(std::string_view text, Protocol protocol, int candidates,
                  std::span<const std::uint16_t> presentation, RepoRule rule) {
  static const Pattern kInteger(R"(<answer>(\d+)</answer>)");
  static const Pattern kDecimal(R"(<answer>(\d+\.?\d*)</answer>)");
  static const Pattern kMolecule(R"(<answer>(\d+(?:\.\d+)?)</answer>)");
  static const Pattern kRating(R"((?i)(?:score|rating)[^0-9]*(\d+(?:\.\d+)?))");
  static const Pattern kOneToFive(R"(\b([1-5](?:\.\d+)?)\b)");

  if (rule == RepoRule::four_way || protocol == Protocol::label)
    return four_way(text, protocol, presentation);

  if (protocol == Protocol::score) {
    if (rule == RepoRule::integers) return first_number(text, kInteger, presentation);
    if (rule == RepoRule::molecules) return first_number(text, kMolecule, presentation);
    const Verdict verdict = first_number(text, kDecimal, presentation);
    if (verdict.ok() || rule == RepoRule::decimal) return verdict;
    const Verdict rated = first_number(text, kRating, presentation);
    return rated.ok() ? rated : first_number(text, kOneToFive, presentation);
  }

  const bool molecules = rule == RepoRule::molecules;
  const auto answers = find_answers(molecules                    ? kMolecule
                                    : rule == RepoRule::integers ? kInteger
                                                                 : kDecimal,
                                    text);
  if (protocol == Protocol::rank) return batch_ranking(answers, presentation);

  const auto wanted = static_cast<std::size_t>(candidates);
  if (answers.size() < wanted) return unreadable("fewer than two <answer>integer</answer>");
  if (molecules && answers.size() != wanted) return unreadable("more than two answers");
  for (std::size_t i = 0; molecules && i < wanted; ++i) {
    if (answers[i].find('.') != std::string_view::npos)
      return unreadable("a decimal where the script wants an integer");
  }
  return verdict_of_scores({number(answers[0]), number(answers[1])}, protocol, presentation);
}

}  // namespace assize::verdict
