#include "verdict/adaptive.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"

namespace assize::verdict {
namespace {

/// By how many calls the votes before `end` lead: every later call can lessen it by one.
int lead(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule, int end) {
  std::map<std::string, int> counts;
  for (const Vote& vote : votes) {
    if (static_cast<int>(vote.vote) >= end) continue;
    if (vote.verdict.ok()) {
      ++counts[vote.verdict.choice];
    } else if (rule.unreadable == UnreadablePolicy::wrong) {
      ++counts["wrong"];
    } else if (rule.unreadable == UnreadablePolicy::tie) {
      ++counts[protocol == Protocol::label ? "A=B=Bad" : "tie"];
    }
  }
  if (rule.votes == VoteRule::sign) return std::abs(counts["A"] - counts["B"]);
  int first = 0, second = 0;
  for (const auto& [choice, count] : counts) {
    second = std::max(second, std::min(first, count));
    first = std::max(first, count);
  }
  return first - second;
}

}  // namespace

VotesWanted votes_wanted(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule, int total, int calls) {
  if (protocol == Protocol::score || rule.votes == VoteRule::mean) {
    throw base::Error("adaptive voting needs votes on a choice: a mean of scores takes every vote");
  }
  int end = 0;
  while (true) {
    const int ahead = lead(votes, protocol, rule, end);
    if (ahead > (total - end) * calls) return {end, true};
    if (end == total) return {end, true};
    // The soonest it could be decided: all calls in between say the leading choice.
    int next = end + 1;
    while (next < total && ahead + (next - end) * calls <= (total - next) * calls) ++next;
    const auto there = std::count_if(votes.begin(), votes.end(), [&](const Vote& vote) { return static_cast<int>(vote.vote) < next; });
    if (there < static_cast<std::ptrdiff_t>(next) * calls) return {next, false};
    end = next;
  }
}

}  // namespace assize::verdict
