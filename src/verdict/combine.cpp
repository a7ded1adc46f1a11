#include "verdict/combine.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace assize::verdict {
namespace {

void check_rule(Protocol protocol, const CombineRule& rule) {
  const auto refuse = [&](const std::string& what) {
    throw base::Error(what + " has no meaning for the protocol " + std::string(name(protocol)));
  };
  const bool score = protocol == Protocol::score;
  if (score && rule.unreadable == UnreadablePolicy::wrong) refuse("on_unreadable: wrong");
  if ((score || protocol == Protocol::rank) && rule.unreadable == UnreadablePolicy::tie)
    refuse("on_unreadable: tie");
  if (!score && rule.unreadable == UnreadablePolicy::constant) refuse("on_unreadable: constant");
  if (rule.votes == VoteRule::sign && protocol != Protocol::pair) refuse("votes: sign");
  if (rule.votes == VoteRule::mean && protocol == Protocol::label) refuse("votes: mean");
}

std::vector<Vote> in_call_order(std::span<const Vote> votes) {
  std::vector<Vote> sorted(votes.begin(), votes.end());
  std::sort(sorted.begin(), sorted.end(), [](const Vote& a, const Vote& b) {
    return a.vote != b.vote ? a.vote < b.vote : a.presentation < b.presentation;
  });
  return sorted;
}

// The verdicts that count, unreadable ones replaced as the policy says.
std::vector<Verdict> counted(const std::vector<Vote>& votes, Protocol protocol, const CombineRule& rule) {
  std::vector<Verdict> out;
  for (const Vote& vote : votes) {
    if (vote.verdict.ok()) {
      out.push_back(vote.verdict);
      continue;
    }
    if (rule.unreadable == UnreadablePolicy::exclude) continue;
    Verdict stand_in;
    stand_in.status = VerdictStatus::ok;
    stand_in.reason = vote.verdict.reason.empty() ? std::string(name(vote.verdict.status)) : vote.verdict.reason;
    if (rule.unreadable == UnreadablePolicy::wrong) stand_in.choice = "wrong";
    if (rule.unreadable == UnreadablePolicy::tie)
      stand_in.choice = protocol == Protocol::label ? "A=B=Bad" : "tie";
    if (rule.unreadable == UnreadablePolicy::constant) {
      stand_in.value = rule.constant;
      stand_in.scores = {rule.constant};
    }
    out.push_back(stand_in);
  }
  return out;
}

// Choices in the order first seen, with their counts.
std::vector<std::pair<std::string, int>> count_choices(const std::vector<Verdict>& verdicts) {
  std::vector<std::pair<std::string, int>> counts;
  for (const Verdict& verdict : verdicts) {
    const auto found =
        std::find_if(counts.begin(), counts.end(), [&](const auto& c) { return c.first == verdict.choice; });
    if (found == counts.end()) {
      counts.emplace_back(verdict.choice, 1);
    } else {
      ++found->second;
    }
  }
  return counts;
}

std::string pair_by_sign(double value) { return value > 0 ? "A" : value < 0 ? "B" : "tie"; }

int sum_of_signs(const std::vector<Verdict>& verdicts) {
  return std::accumulate(verdicts.begin(), verdicts.end(), 0,
                         [](int sum, const Verdict& v) { return sum + sign_of(v.choice); });
}

// Candidates by their mean place in the rankings, equal ones by letter.
std::string by_mean_place(const std::vector<Verdict>& verdicts) {
  std::vector<std::pair<std::size_t, char>> places;
  for (const Verdict& verdict : verdicts) {
    if (verdict.choice == "wrong") continue;
    for (std::size_t place = 0; place < verdict.choice.size(); ++place) {
      const char letter = verdict.choice[place];
      const auto found =
          std::find_if(places.begin(), places.end(), [&](const auto& p) { return p.second == letter; });
      if (found == places.end()) {
        places.emplace_back(place, letter);
      } else {
        found->first += place;
      }
    }
  }
  std::sort(places.begin(), places.end());
  std::string ranking;
  for (const auto& [sum, letter] : places) ranking += letter;
  return ranking;
}

std::string break_tie(const std::vector<std::string>& leaders, const std::vector<Verdict>& verdicts,
                      Protocol protocol) {
  if (protocol == Protocol::pair) return "tie";
  if (protocol == Protocol::rank) return by_mean_place(verdicts);
  const int sum = sum_of_signs(verdicts);
  if (sum != 0) return sum > 0 ? "A>B" : "B>A";
  const bool bad = std::find(leaders.begin(), leaders.end(), "A=B=Bad") != leaders.end();
  return bad || std::find(leaders.begin(), leaders.end(), "A=B=Good") == leaders.end() ? "A=B=Bad"
                                                                                       : "A=B=Good";
}

std::string by_majority(const std::vector<Verdict>& verdicts, Protocol protocol, VoteTies ties) {
  const auto counts = count_choices(verdicts);
  int most = 0;
  for (const auto& [choice, count] : counts) most = std::max(most, count);
  std::vector<std::string> leaders;
  for (const auto& [choice, count] : counts) {
    if (count == most) leaders.push_back(choice);
  }
  if (leaders.size() == 1 || ties == VoteTies::first_seen) return leaders.front();
  return break_tie(leaders, verdicts, protocol);
}

std::vector<double> mean_scores(const std::vector<Verdict>& verdicts) {
  std::vector<double> mean;
  int with_scores = 0;
  for (const Verdict& verdict : verdicts) {
    if (verdict.scores.empty() || (!mean.empty() && mean.size() != verdict.scores.size())) continue;
    mean.resize(verdict.scores.size());
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += verdict.scores[i];
    ++with_scores;
  }
  for (double& score : mean) score /= with_scores;
  return mean;
}

std::string by_mean_scores(const std::vector<double>& scores, Protocol protocol) {
  if (scores.empty()) throw base::Error("votes: mean needs an answer form with numbers; use majority");
  if (protocol == Protocol::pair) return pair_by_sign(scores[0] - scores[1]);
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::string ranking;
  for (const auto index : order) ranking += static_cast<char>('A' + index);
  return ranking;
}

std::string choose(const std::vector<Verdict>& verdicts, const std::vector<double>& scores, Protocol protocol,
                   const CombineRule& rule) {
  if (protocol == Protocol::score) return {};
  // Where no vote could be read there are only stand-ins, which have no numbers.
  const bool stand_ins = std::none_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.reason.empty(); });
  if (rule.votes == VoteRule::mean && !stand_ins) return by_mean_scores(scores, protocol);
  if (rule.votes == VoteRule::sign) return pair_by_sign(sum_of_signs(verdicts));
  return by_majority(verdicts, protocol, rule.ties);
}

}  // namespace

int sign_of(std::string_view choice) {
  if (choice == "A" || choice == "A>B") return 1;
  return choice == "B" || choice == "B>A" ? -1 : 0;
}

Combined combine(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule) {
  check_rule(protocol, rule);
  const auto sorted = in_call_order(votes);
  const auto verdicts = counted(sorted, protocol, rule);
  Combined combined;
  combined.votes = static_cast<int>(verdicts.size());
  combined.unreadable = static_cast<int>(
      std::count_if(sorted.begin(), sorted.end(), [](const Vote& vote) { return !vote.verdict.ok(); }));
  combined.orders = compare_orders(sorted, protocol, rule);
  if (verdicts.empty()) {
    if (!sorted.empty()) combined.status = sorted.front().verdict.status;
    return combined;
  }
  combined.status = VerdictStatus::ok;
  for (const Verdict& verdict : verdicts) combined.value += verdict.value;
  combined.value /= static_cast<double>(verdicts.size());
  combined.scores = mean_scores(verdicts);
  combined.choice = choose(verdicts, combined.scores, protocol, rule);
  if (protocol != Protocol::score) {
    const auto same = std::count_if(verdicts.begin(), verdicts.end(), [&](const Verdict& verdict) {
      return verdict.choice == combined.choice;
    });
    combined.agreement = static_cast<double>(same) / static_cast<double>(verdicts.size());
  }
  return combined;
}

OrderAgreement compare_orders(std::span<const Vote> votes, Protocol protocol, const CombineRule& rule) {
  if (protocol != Protocol::pair && protocol != Protocol::label) return OrderAgreement::not_tried;
  std::vector<Verdict> orders[2];
  for (const Vote& vote : in_call_order(votes)) {
    if (vote.verdict.ok() && vote.presentation.size() == 2)
      orders[vote.presentation[0] == 0 ? 0 : 1].push_back(vote.verdict);
  }
  if (orders[0].empty() || orders[1].empty()) return OrderAgreement::not_tried;
  Verdict said[2];
  for (int i = 0; i < 2; ++i) said[i].choice = choose(orders[i], mean_scores(orders[i]), protocol, rule);
  if (said[0].choice == said[1].choice) return OrderAgreement::consistent;
  const int first = sign_of(said[0].choice), second = sign_of(said[1].choice);
  if (first > 0 && second < 0) return OrderAgreement::prefers_first;
  if (first < 0 && second > 0) return OrderAgreement::prefers_second;
  return OrderAgreement::inconsistent;
}

UnreadablePolicy policy_named(std::string_view word) {
  if (word == "exclude") return UnreadablePolicy::exclude;
  if (word == "wrong") return UnreadablePolicy::wrong;
  if (word == "tie") return UnreadablePolicy::tie;
  if (word == "constant") return UnreadablePolicy::constant;
  throw base::Error("on_unreadable '" + std::string(word) + "' is unknown: exclude, wrong, tie or constant");
}

}  // namespace assize::verdict
