#include "verdict/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "verdict/answers.h"
#include "verdict/pattern.h"

namespace assize::verdict {
namespace {

constexpr int kMaxCandidates = 26;  // letters A to Z name them

void check_presentation(Protocol protocol, int candidates, std::span<const std::uint16_t> presentation) {
  const bool fits = protocol == Protocol::score  ? candidates == 1
                    : protocol == Protocol::rank ? candidates >= 2 && candidates <= kMaxCandidates
                                                 : candidates == 2;
  if (!fits) {
    throw base::Error(
        fmt::format("protocol {} with {} candidates: score takes 1, pair and label 2, rank 2 to {}",
                    name(protocol), candidates, kMaxCandidates));
  }
  std::vector<bool> seen(static_cast<std::size_t>(candidates));
  bool good = presentation.size() == seen.size();
  for (const auto index : presentation) {
    if (index < seen.size() && !seen[index]) {
      seen[index] = true;
    } else {
      good = false;
    }
  }
  if (!good) throw base::Error(fmt::format("the presentation is no order of {} candidates", candidates));
}

Verdict unreadable(std::string reason) { return no_verdict(VerdictStatus::unreadable, std::move(reason)); }

// A piece of the judge's text for a one-line reason.
std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : trimmed(text).substr(0, 40)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return "'" + out + "'";
}

Verdict read_numbers(const std::vector<std::string_view>& answers, Protocol protocol,
                     std::span<const std::uint16_t> presentation, const ParserProfile& profile,
                     double scale) {
  std::vector<double> shown;
  for (const auto answer : answers) {
    const auto number = score_number(answer, profile.high);
    if (!number) return unreadable(quoted(answer) + " is not a number");
    const double value = *number / scale;
    if (profile.dialect == Dialect::strict && (value < profile.low || value > profile.high)) {
      return unreadable(fmt::format("{} is not between {} and {}", value, profile.low, profile.high));
    }
    shown.push_back(value);
  }
  return verdict_of_scores(shown, protocol, presentation);
}

Verdict read_word(std::string_view answer, Protocol protocol, int candidates,
                  std::span<const std::uint16_t> presentation) {
  const auto word = protocol == Protocol::pair    ? pair_choice(answer)
                    : protocol == Protocol::label ? four_way_label(answer)
                                                  : ranking(answer, candidates);
  if (!word) return unreadable(fmt::format("{} is not a {} verdict", quoted(answer), name(protocol)));
  return verdict_of_choice(*word, protocol, presentation);
}

// Keeps the answers that count. Returns the reason when their number is wrong.
std::string take_answers(std::vector<std::string_view>& answers, std::size_t wanted, Take take) {
  if (answers.size() < wanted || (take == Take::all && answers.size() > wanted)) {
    return fmt::format("{} answer{} instead of {}", answers.size(), answers.size() == 1 ? "" : "s", wanted);
  }
  const auto surplus = static_cast<std::ptrdiff_t>(answers.size() - wanted);
  if (take == Take::last) {
    answers.erase(answers.begin(), answers.begin() + surplus);
  } else {
    answers.resize(wanted);
  }
  return {};
}

}  // namespace

bool answers_are_numbers(Protocol protocol, const ParserProfile& profile) {
  if (protocol == Protocol::score) return true;
  if (protocol == Protocol::label) return false;
  if (profile.form == Form::custom) return profile.custom.scale.has_value();
  return profile.form == Form::scores;
}

Verdict read_verdict(std::string_view text, Protocol protocol, int candidates,
                     std::span<const std::uint16_t> presentation, const ParserProfile& profile) {
  check_presentation(protocol, candidates, presentation);
  if (profile.dialect == Dialect::repo && profile.form != Form::custom) {
    return read_repo(text, protocol, candidates, presentation, profile.repo);
  }
  const std::string whole = profile.prefill.empty() ? std::string() : profile.prefill + std::string(text);
  const auto rest = after_thinking(profile.prefill.empty() ? text : std::string_view(whole));
  if (!rest) return unreadable("the thinking does not end");

  std::vector<std::string_view> answers;
  Take take = profile.dialect == Dialect::strict ? Take::all : Take::first;
  double scale = 1;
  if (profile.form == Form::custom) {
    take = profile.custom.take;
    scale = profile.custom.scale.value_or(1);
    for (const auto& match : Pattern(profile.custom.pattern).find_all(*rest))
      answers.push_back(match.answer(*rest));
  } else {
    auto tags = answer_tags(*rest);
    if (profile.dialect == Dialect::strict && !tags.problem.empty()) return unreadable(tags.problem);
    answers = std::move(tags.contents);
  }
  const bool numbers = answers_are_numbers(protocol, profile);
  const std::size_t wanted = numbers ? presentation.size() : 1;
  const std::string problem = take_answers(answers, wanted, take);
  if (!problem.empty()) return unreadable(problem);
  return numbers ? read_numbers(answers, protocol, presentation, profile, scale)
                 : read_word(answers.front(), protocol, candidates, presentation);
}

Verdict verdict_of_scores(const std::vector<double>& shown, Protocol protocol,
                          std::span<const std::uint16_t> presentation) {
  Verdict verdict;
  verdict.status = VerdictStatus::ok;
  verdict.scores.resize(shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i) verdict.scores[presentation[i]] = shown[i];
  const auto& scores = verdict.scores;
  if (protocol == Protocol::score) {
    verdict.value = scores[0];
  } else if (protocol == Protocol::pair) {
    verdict.value = scores[0] - scores[1];
    verdict.choice = scores[0] > scores[1] ? "A" : scores[0] < scores[1] ? "B" : "tie";
  } else {
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    for (const int index : order) verdict.choice += static_cast<char>('A' + index);
  }
  return verdict;
}

Verdict verdict_of_choice(std::string_view shown, Protocol protocol,
                          std::span<const std::uint16_t> presentation) {
  Verdict verdict;
  verdict.status = VerdictStatus::ok;
  verdict.choice = unswap(shown, presentation);
  if (protocol == Protocol::pair || protocol == Protocol::label) {
    verdict.value = verdict.choice == "A" || verdict.choice == "A>B"   ? 1
                    : verdict.choice == "B" || verdict.choice == "B>A" ? -1
                                                                       : 0;
  }
  return verdict;
}

std::string unswap(std::string_view shown, std::span<const std::uint16_t> presentation) {
  if (shown == "tie" || shown == "A=B=Good" || shown == "A=B=Bad") return std::string(shown);
  std::string out(shown);
  for (char& c : out) {
    const auto index = static_cast<std::size_t>(c - 'A');
    if (c >= 'A' && index < presentation.size()) c = static_cast<char>('A' + presentation[index]);
  }
  return out;
}

Verdict read_likelihood(std::span<const float> logprobs, std::span<const std::string> labels,
                        Protocol protocol, int candidates, std::span<const std::uint16_t> presentation) {
  check_presentation(protocol, candidates, presentation);
  const bool can_tie = protocol == Protocol::pair && labels.size() == 3;
  const std::size_t wanted = protocol == Protocol::label   ? 4
                             : protocol == Protocol::score ? labels.size()
                                                           : presentation.size();
  if (labels.empty() || (labels.size() != wanted && !can_tie)) {
    throw base::Error(fmt::format("likelihood reading of protocol {} with {} labels: {} are needed",
                                  name(protocol), labels.size(), wanted));
  }
  if (logprobs.size() != labels.size()) {
    return no_verdict(VerdictStatus::failed,
                      fmt::format("{} log-probabilities for {} labels", logprobs.size(), labels.size()));
  }
  const float best = *std::max_element(logprobs.begin(), logprobs.end());
  if (!std::all_of(logprobs.begin(), logprobs.end(), [](float x) { return !std::isnan(x); }) ||
      !std::isfinite(best)) {
    return no_verdict(VerdictStatus::failed, "the log-probabilities of the labels are not finite");
  }
  std::vector<double> shares;
  double total = 0;
  for (const float x : logprobs) {
    shares.push_back(std::exp(static_cast<double>(x) - best));
    total += shares.back();
  }
  for (double& share : shares) share /= total;

  if (protocol == Protocol::score) {
    double expectation = 0;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      const auto number = plain_number(trimmed(labels[i]));
      if (!number)
        throw base::Error("likelihood reading of a score: label '" + labels[i] + "' is not a number");
      expectation += shares[i] * *number;
    }
    return verdict_of_scores({expectation}, protocol, presentation);
  }
  if (protocol == Protocol::label) {
    const auto top =
        static_cast<std::size_t>(std::max_element(shares.begin(), shares.end()) - shares.begin());
    const auto word = four_way_label(labels[top]);
    if (!word)
      throw base::Error("likelihood reading: '" + labels[top] + "' is none of A>B, B>A, A=B=Good, A=B=Bad");
    return verdict_of_choice(*word, protocol, presentation);
  }
  std::vector<double> shown(shares.begin(), shares.begin() + candidates);
  Verdict verdict = verdict_of_scores(shown, protocol, presentation);
  if (can_tie && shares[2] > std::max(shares[0], shares[1])) verdict.choice = "tie";
  return verdict;
}

Verdict no_verdict(VerdictStatus status, std::string reason) {
  Verdict verdict;
  verdict.status = status;
  verdict.reason = std::move(reason);
  return verdict;
}

std::string_view name(VerdictStatus status) {
  switch (status) {
    case VerdictStatus::ok:
      return "ok";
    case VerdictStatus::unreadable:
      return "unreadable";
    case VerdictStatus::truncated:
      return "truncated";
    case VerdictStatus::failed:
      break;
  }
  return "failed";
}

std::string_view name(Protocol protocol) {
  switch (protocol) {
    case Protocol::score:
      return "score";
    case Protocol::pair:
      return "pair";
    case Protocol::label:
      return "label";
    case Protocol::rank:
      break;
  }
  return "rank";
}

Protocol protocol_named(std::string_view word) {
  for (const auto protocol : {Protocol::score, Protocol::pair, Protocol::label, Protocol::rank}) {
    if (name(protocol) == word) return protocol;
  }
  throw base::Error("protocol '" + std::string(word) + "' is unknown: score, pair, label or rank");
}

ParserProfile make_profile(std::string_view dialect, std::string_view form, double low, double high) {
  ParserProfile profile;
  if (dialect == "strict") {
    profile.dialect = Dialect::strict;
  } else if (dialect == "paper") {
    profile.dialect = Dialect::paper;
  } else if (dialect == "repo") {
    profile.dialect = Dialect::repo;
  } else {
    throw base::Error("parser profile '" + std::string(dialect) + "' is unknown: strict, paper or repo");
  }
  if (form == "scores") {
    profile.form = Form::scores;
  } else if (form == "label") {
    profile.form = Form::label;
    profile.repo = RepoRule::four_way;
  } else if (form == "choice") {
    profile.form = Form::choice;
  } else {
    throw base::Error("answer form '" + std::string(form) + "' is unknown: scores, label or choice");
  }
  if (!(low < high))
    throw base::Error(fmt::format("scale from {} to {}: the first must be the smaller", low, high));
  profile.low = low;
  profile.high = high;
  return profile;
}

}  // namespace assize::verdict
