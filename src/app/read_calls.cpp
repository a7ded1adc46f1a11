#include "app/read_calls.h"

#include <algorithm>

#include "app/identity.h"
#include "base/clock.h"
#include "verdict/adaptive.h"
#include "verdict/expectation.h"
#include "verdict/rewards.h"

namespace assize::app {

using verdict::VerdictStatus;

namespace {

verdict::ParserProfile profile_of(const suite::Suite& suite, const job::Judging& judging) {
  verdict::ParserProfile profile = suite.prompt.profile;
  switch (judging.parser) {
    case job::Parser::strict: profile.dialect = verdict::Dialect::strict; break;
    case job::Parser::paper: profile.dialect = verdict::Dialect::paper; break;
    case job::Parser::repo: profile.dialect = verdict::Dialect::repo; break;
  }
  return profile;
}

std::vector<double> expected_scores(const results::Judgement& judgement, const suite::Suite& suite, const job::Judging& judging,
                                    const std::vector<std::string>& labels) {
  return verdict::expected_scores(judgement.text, judgement.watch_logprobs, labels, verdict::local_order(judgement.key.presentation),
                                  profile_of(suite, judging));
}

}  // namespace

verdict::Verdict read_judgement(const results::Judgement& judgement, const suite::Suite& suite, const job::Judging& judging) {
  if (judgement.status == results::Status::failed) return verdict::no_verdict(VerdictStatus::failed, judgement.error);
  const auto presentation = verdict::local_order(judgement.key.presentation);
  const int candidates = static_cast<int>(presentation.size());
  if (judging.reading == job::Reading::likelihood) {
    return verdict::read_likelihood(judgement.watch_logprobs, suite.prompt.labels, suite.protocol, candidates, presentation);
  }
  verdict::ParserProfile profile = profile_of(suite, judging);
  // The published scripts read without a prefill and know no reasoning switched off; its <answer> must be read.
  std::string begun;
  if (profile.dialect == verdict::Dialect::repo && profile.prefill == "<answer>") begun = profile.prefill + judgement.text;
  verdict::Verdict read = verdict::read_verdict(begun.empty() ? judgement.text : begun, suite.protocol, candidates, presentation, profile);
  if (!read.ok() && judgement.status == results::Status::truncated) {
    return verdict::no_verdict(VerdictStatus::truncated, "ended at the token limit before a verdict");
  }
  return read;
}

verdict::CombineRule combine_rule(const suite::Suite& suite, const job::Judging& judging) {
  verdict::CombineRule rule;
  switch (judging.on_unreadable) {
    case job::OnUnreadable::by_profile:
      rule.unreadable = suite.rules.unreadable.value_or(verdict::UnreadablePolicy::exclude);
      rule.constant = suite.rules.constant;
      break;
    case job::OnUnreadable::exclude: rule.unreadable = verdict::UnreadablePolicy::exclude; break;
    case job::OnUnreadable::wrong: rule.unreadable = verdict::UnreadablePolicy::wrong; break;
    case job::OnUnreadable::tie: rule.unreadable = verdict::UnreadablePolicy::tie; break;
  }
  // Probabilities of both orders are averaged: a label that is likelier only because it comes first cancels out.
  if (judging.reading == job::Reading::likelihood && (suite.protocol == verdict::Protocol::pair || suite.protocol == verdict::Protocol::rank)) {
    rule.votes = verdict::VoteRule::mean;
  }
  if (suite.rules.votes) rule.votes = *suite.rules.votes;
  if (suite.rules.vote_ties) rule.ties = *suite.rules.vote_ties;
  switch (judging.combine) {
    case job::Combine::by_profile: break;
    case job::Combine::majority: rule.votes = verdict::VoteRule::majority; break;
    case job::Combine::sign: rule.votes = verdict::VoteRule::sign; break;
    case job::Combine::mean: rule.votes = verdict::VoteRule::mean; break;
  }
  if (judging.vote_ties == job::VoteTies::tie) rule.ties = verdict::VoteTies::tie;
  if (judging.vote_ties == job::VoteTies::first_seen) rule.ties = verdict::VoteTies::first_seen;
  if (suite.protocol == verdict::Protocol::score && judging.on_unreadable > job::OnUnreadable::exclude) {
    rule.unreadable = verdict::UnreadablePolicy::constant;
    rule.constant = suite.prompt.profile.low;
  }
  return rule;
}

std::vector<std::uint32_t> calls_wanted(const Plan& plan, const suite::Suite& suite, const std::vector<base::CallKey>& keys,
                                        std::span<const verdict::Vote> votes) {
  const job::Judging& judging = plan.job.judging;
  std::uint32_t until = static_cast<std::uint32_t>(judging.votes);
  if (judging.adaptive && !keys.empty()) {
    const int calls_a_vote = static_cast<int>(keys.size()) / judging.votes;
    until = static_cast<std::uint32_t>(
        verdict::votes_wanted(votes, suite.protocol, combine_rule(suite, judging), judging.votes, calls_a_vote).votes);
  }
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t call = 0; call < keys.size(); ++call) {
    if (keys[call].vote < until) wanted.push_back(call);
  }
  return wanted;
}

CallReader::CallReader(const Plan& plan, const results::JournalIndex& index) : plan_(plan), index_(index) {
  if (plan.job.judging.expectation) scale_ = whole_numbers(plan.suites);
}

ReadCalls CallReader::read(const suite::Suite& suite, const suite::Sample& sample, std::int64_t sample_row) const {
  const job::Judging& judging = plan_.job.judging;
  const auto keys = call_keys(plan_, suite, sample);
  ReadCalls calls;
  std::vector<std::uint32_t> places;
  for (std::uint32_t place = 0; place < keys.size(); ++place) {
    std::optional<results::Judgement> found = index_.find(base::digest(keys[place]));
    if (!found) continue;
    results::JudgementRow row{sample_row, std::move(*found), {}, {}};
    row.verdict = read_judgement(row.judgement, suite, judging);
    if (judging.expectation && row.verdict.ok()) row.expected_scores = expected_scores(row.judgement, suite, judging, scale_);
    calls.votes.push_back({keys[place].presentation, keys[place].vote, row.verdict});
    calls.rows.push_back(std::move(row));
    places.push_back(place);
  }
  const auto wanted = calls_wanted(plan_, suite, keys, calls.votes);
  // Votes behind those that decide were asked by an earlier job: as if they had never been.
  for (std::size_t i = places.size(); i-- > 0;) {
    if (std::binary_search(wanted.begin(), wanted.end(), places[i])) continue;
    calls.votes.erase(calls.votes.begin() + static_cast<std::ptrdiff_t>(i));
    calls.rows.erase(calls.rows.begin() + static_cast<std::ptrdiff_t>(i));
  }
  calls.wanted = wanted.size();
  calls.spared = keys.size() - wanted.size();
  for (const auto& row : calls.rows) calls.failed += row.judgement.status == results::Status::failed;
  return calls;
}

results::FileInfo file_info(const Plan& plan, const results::JournalSummary& journal) {
  results::FileInfo info;
  info.code_version = code_version();
  info.created = base::utc_now();
  info.job = plan.job.resolved_yaml;
  info.identity = journal.identity;
  info.model_hash = identity_value(info.identity, "model");
  info.seed = plan.job.judging.seed;
  return info;
}

}  // namespace assize::app
