#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assize::verdict {

/// What a judge is asked for one sample.
enum class Protocol : std::uint8_t {
  score,  ///< a number for one candidate
  pair,   ///< which of two candidates is better, or a tie
  label,  ///< one of A>B, B>A, both good, both bad
  rank,   ///< an order of N candidates
};

/// Whether a generation could be read.
enum class VerdictStatus : std::uint8_t {
  ok,
  unreadable,  ///< ended by itself, but holds no verdict in the expected form
  truncated,   ///< ended at the token limit before a readable verdict
  failed,      ///< there is no generation
};

/// What a generation says. A pure function of the stored text and the parser profile.
/// Everything is in canonical candidate order: the presentation has been undone.
struct Verdict {
  VerdictStatus status = VerdictStatus::unreadable;
  std::string reason;  ///< one line, empty when ok
  /// One number per candidate, candidate order; empty where the form of the answer has no numbers.
  std::vector<double> scores;
  /// pair: "A", "B" or "tie". label: "A>B", "B>A", "A=B=Good", "A=B=Bad". rank: candidates from best to worst
  /// ("CDAB", A = candidate 0). score: empty.
  std::string choice;
  /// score: the score. pair: score of A minus score of B, or +1, 0, -1 where the answer has no numbers.
  /// label: +1, 0, -1. rank: 0.
  double value = 0;

  bool ok() const { return status == VerdictStatus::ok; }
};

/// Whose rules are followed where judges write their verdicts differently than asked.
enum class Dialect : std::uint8_t {
  strict,  ///< ours: one answer per candidate, after </think>, in range
  paper,   ///< after </think>; the first answers count, no range check
  repo,    ///< the regular expressions of the Flex-Judge scripts, with their quirks (RepoRule)
};

/// The form in which a verdict is asked for.
enum class Form : std::uint8_t {
  scores,  ///< <answer>7.5</answer>, one per candidate shown
  label,   ///< <answer>[[A>B]]</answer>
  choice,  ///< <answer>A</answer>, B or tie; for ranks <answer>CDAB</answer>
  custom,  ///< the pattern of the prompt file (AnswerPattern)
};

/// Which script's rule the `repo` dialect follows.
enum class RepoRule : std::uint8_t {
  integers,   ///< findall <answer>(\d+)</answer>: MLLM-Judge, VL-RewardBench, MJ-Bench; ranks as MLLM-Judge
              ///< batch
  four_way,   ///< first <answer>(\[\[.*?\]\])</answer>, unknown labels are both bad: GenAI-Bench
  decimal,    ///< first <answer>(\d+\.?\d*)</answer>: NISQA, SOMOS, VoxSim
  bvcc,       ///< decimal, then "score|rating ... number", then any stand-alone number from 1 to 5
  molecules,  ///< findall <answer>(\d+(?:\.\d+)?)</answer>: Mol-LLaMA pairs (integers only) and PAMPA scores
};

/// Which matches of an AnswerPattern are the answers.
enum class Take : std::uint8_t { first, last, all };

/// An answer form written in a prompt file: `verdict: {pattern, take, scale}`.
struct AnswerPattern {
  /// Regular expression (pattern.h says which); its first group, or the whole match, is the answer.
  std::string pattern;
  /// first: the first matches, one per answer wanted. last: the last ones. all: exactly as many as wanted.
  Take take = Take::all;
  /// Set: the answers are numbers, one per candidate, divided by it. Unset: the answer is a label or a choice
  /// (score protocol: a number all the same).
  std::optional<double> scale;
};

/// How texts are read. Defaults: strict, numbers from 1 to 10.
struct ParserProfile {
  Dialect dialect = Dialect::strict;
  Form form = Form::scores;
  double low = 1;  ///< scores below are unreadable (strict)
  double high = 10;
  RepoRule repo = RepoRule::integers;  ///< dialect repo only
  AnswerPattern custom;                ///< form custom only
  /// What the answer was made to start with, such as "<think>": read as the beginning of the text. The repo
  /// dialect reads without it, as the scripts do.
  std::string prefill;
};

/// The profile for `dialect` ("strict", "paper", "repo") and `form` ("scores", "label", "choice").
/// Throws base::Error naming the valid words.
ParserProfile make_profile(std::string_view dialect, std::string_view form, double low, double high);

/// Reads a text. `presentation` holds candidate indices in the order shown, one per candidate.
/// Never throws on any text; throws base::Error when `presentation` is not a permutation of 0..candidates-1,
/// when the number of candidates does not fit the protocol, or when the custom pattern is not valid.
Verdict read_verdict(std::string_view text, Protocol protocol, int candidates,
                     std::span<const std::uint16_t> presentation, const ParserProfile& profile);

/// Reads the log-probabilities of the labels after a prefilled answer (natural logarithms, any common
/// offset). pair: labels name the candidates as shown ("A"/"B" or "1"/"2"), an optional third is the tie;
/// scores are the probabilities of the candidates, choice the most likely label. score: labels are numbers,
/// the value is their expectation. rank: one label per candidate shown. label: the four labels. Equal
/// probabilities of two candidates are a tie. Throws base::Error when labels and log-probabilities differ in
/// number.
Verdict read_likelihood(std::span<const float> logprobs, std::span<const std::string> labels,
                        Protocol protocol, int candidates, std::span<const std::uint16_t> presentation);

/// A verdict for a call without readable text: status and reason only.
Verdict no_verdict(VerdictStatus status, std::string reason);

/// "ok", "unreadable", "truncated", "failed".
std::string_view name(VerdictStatus status);
/// "score", "pair", "label", "rank".
std::string_view name(Protocol protocol);
/// The protocol of that name. Throws base::Error naming the valid words.
Protocol protocol_named(std::string_view name);

/// A choice about candidates as shown, turned into one about candidates: "A" is the first one shown, and so
/// on. Ties stay; letters beyond the candidates stay.
std::string unswap(std::string_view shown, std::span<const std::uint16_t> presentation);

}  // namespace assize::verdict
