#include "app/judgement_reader.h"

#include <fmt/format.h>

#include "app/read_calls.h"
#include "base/error.h"
#include "job/reader.h"

namespace assize::app {

using verdict::VerdictStatus;

JudgementReader::JudgementReader(const Plan& plan) : plan_(plan) {
  for (const auto& suite : plan.suites) suites_[suite.id] = &suite;
}

VerdictStatus JudgementReader::status(const results::Judgement& judgement) const {
  const auto suite = suites_.find(judgement.key.suite_id);
  return suite == suites_.end() ? VerdictStatus::ok : read_judgement(judgement, *suite->second, plan_.job.judging).status;
}

RetryChoice retry_choice(const std::vector<std::string>& words, const job::JobSpec& job) {
  RetryChoice choice;
  for (const std::string& word : words) {
    if (word == "failed") {
      choice.failed = true;
    } else if (word == "truncated") {
      choice.truncated = true;
    } else if (word == "unreadable") {
      choice.unreadable = true;
    } else {
      const std::string near = job::nearest(word, {"failed", "truncated", "unreadable"});
      throw base::Error(fmt::format("--retry {}: what can be judged again is failed, truncated or unreadable{}", word,
                                    near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
    }
    if (word == "failed") continue;
    if (job.sampling.temperature == 0 || job.judging.reading == job::Reading::likelihood) {
      throw base::Error(fmt::format("--retry {}: without sampling (temperature 0, or reading: likelihood) the same answer would come again{}", word,
                                    word == "truncated" ? "; raise sampling.max_new_tokens, that judges again what had hit it" : ""));
    }
  }
  return choice;
}

void RetryList::see(const results::Judgement& judgement, base::Hash128 call) {
  if (!choice_.any()) return;
  if (judgement.status == results::Status::failed) {
    if (choice_.failed) same_noise_.push_back(call);
  } else if (judgement.status == results::Status::truncated && choice_.truncated) {
    new_noise_.push_back(call);
  } else if (choice_.unreadable && reader_.status(judgement) == VerdictStatus::unreadable) {
    new_noise_.push_back(call);
  }
}

std::uint64_t RetryList::retract_from(results::Journal& journal) const {
  journal.retract(same_noise_, results::Redo::same_noise);
  journal.retract(new_noise_, results::Redo::new_noise);
  return same_noise_.size() + new_noise_.size();
}

void StopRule::see(const results::Judgement& judgement) {
  ++seen_;
  switch (reader_.status(judgement)) {
    case VerdictStatus::ok: break;
    case VerdictStatus::unreadable: ++unreadable_; break;
    case VerdictStatus::truncated: ++truncated_; break;
    case VerdictStatus::failed: ++failed_; break;
  }
}

bool StopRule::broken() const {
  return seen_ >= kLeastJudgements && static_cast<double>(failed_ + truncated_ + unreadable_) > share_ * static_cast<double>(seen_);
}

std::string StopRule::reason() const {
  return fmt::format("of {} judgements {} are unreadable, {} truncated and {} failed, more than limits.stop_above = {} allows", seen_,
                     unreadable_, truncated_, failed_, share_);
}

}  // namespace assize::app
