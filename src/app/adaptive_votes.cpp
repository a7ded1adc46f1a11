#include "app/adaptive_votes.h"

#include "app/read_calls.h"

namespace assize::app {

AdaptiveVotes::AdaptiveVotes(const Plan& plan) : plan_(plan) {
  for (std::uint32_t s = 0; s < plan.suites.size(); ++s) {
    for (std::uint32_t i = 0; i < plan.suites[s].samples.size(); ++i) {
      const auto number = static_cast<std::uint32_t>(samples_.size());
      const auto keys = call_keys(plan, plan.suites[s], plan.suites[s].samples[i]);
      for (std::uint32_t call = 0; call < keys.size(); ++call) places_[base::digest(keys[call])] = {number, call};
      samples_.push_back({s, i, {}, std::vector<bool>(keys.size()), 0});
      ready_.push_back(number);
    }
  }
}

void AdaptiveVotes::take(const results::Judgement& judgement) {
  const auto place = places_.find(base::digest(judgement.key));
  if (place == places_.end()) return;
  Sample& sample = samples_[place->second.sample];
  const suite::Suite& suite = plan_.suites[sample.suite];
  sample.votes.add({judgement.key.presentation, judgement.key.vote, read_judgement(judgement, suite, plan_.job.judging)});
  ++there_;
  if (!sample.asked[place->second.call]) {
    sample.asked[place->second.call] = true;  // of an earlier start
  } else if (--sample.open == 0) {
    ready_.push_back(place->second.sample);
  }
}

std::vector<OutstandingItem> AdaptiveVotes::next() {
  std::vector<OutstandingItem> items;
  for (; !ready_.empty(); ready_.pop_front()) {
    Sample& sample = samples_[ready_.front()];
    const suite::Suite& suite = plan_.suites[sample.suite];
    const auto keys = call_keys(plan_, suite, suite.samples[sample.sample]);
    OutstandingItem item{sample.suite, sample.sample, {}};
    for (const std::uint32_t call : calls_wanted(plan_, suite, keys, sample.votes.unpacked())) {
      if (sample.asked[call]) continue;
      sample.asked[call] = true;
      item.calls.push_back(call);
    }
    sample.open = static_cast<std::uint32_t>(item.calls.size());
    if (!item.calls.empty()) items.push_back(std::move(item));
  }
  return items;
}

}  // namespace assize::app
