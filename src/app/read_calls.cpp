#include "app/read_calls.h"

#include <ctime>

#include "app/identity.h"
#include "verdict/rewards.h"

namespace assize::app {

using verdict::VerdictStatus;

namespace {

verdict::ParserProfile profile_of(const suite::Suite& suite, const job::Judging& judging) {
  verdict::ParserProfile profile = suite.prompt.profile;
  profile.dialect = judging.parser == job::Parser::repo ? verdict::Dialect::repo : verdict::Dialect::strict;
  return profile;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

bool is_complete(const Plan& plan, const results::JournalIndex& index) {
  for (const auto& suite : plan.suites) {
    for (const auto& sample : suite.samples) {
      for (const auto& key : call_keys(plan, suite, sample)) {
        if (!index.contains(base::digest(key))) return false;
      }
    }
  }
  return true;
}

}  // namespace

verdict::Verdict read_judgement(const results::Judgement& judgement, const suite::Suite& suite, const job::Judging& judging) {
  if (judgement.status == results::Status::failed) return verdict::no_verdict(VerdictStatus::failed, judgement.error);
  const auto presentation = verdict::local_order(judgement.key.presentation);
  const int candidates = static_cast<int>(presentation.size());
  if (judging.reading == job::Reading::likelihood) {
    return verdict::read_likelihood(judgement.watch_logprobs, suite.prompt.labels, suite.protocol, candidates, presentation);
  }
  verdict::Verdict read =
      verdict::read_verdict(judgement.text, suite.protocol, candidates, presentation, profile_of(suite, judging));
  if (!read.ok() && judgement.status == results::Status::truncated) {
    return verdict::no_verdict(VerdictStatus::truncated, "ended at the token limit before a verdict");
  }
  return read;
}

ReadCalls read_calls(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample,
                     const results::JournalIndex& index, std::int64_t sample_row) {
  ReadCalls calls;
  for (const base::CallKey& key : call_keys(plan, suite, sample)) {
    ++calls.wanted;
    std::optional<results::Judgement> found = index.find(base::digest(key));
    if (!found) continue;
    calls.failed += found->status == results::Status::failed;
    results::JudgementRow row{sample_row, std::move(*found), {}};
    row.verdict = read_judgement(row.judgement, suite, plan.job.judging);
    calls.votes.push_back({key.presentation, key.vote, row.verdict});
    calls.rows.push_back(std::move(row));
  }
  return calls;
}

results::FileInfo file_info(const Plan& plan, const results::JournalIndex& index) {
  results::FileInfo info;
  info.code_version = code_version();
  info.created = utc_now();
  info.job = plan.job.resolved_yaml;
  info.identity = index.summary().identity;
  info.model_hash = identity_value(info.identity, "model");
  info.seed = plan.job.judging.seed;
  info.complete = is_complete(plan, index);
  return info;
}

}  // namespace assize::app
