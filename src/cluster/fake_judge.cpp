#include "cluster/fake_judge.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "base/clock.h"
#include "base/error.h"
#include "base/noise.h"

namespace assize::cluster {

namespace {

bool fits(const FakeRow& row, const base::CallKey& key) {
  return (!row.suite || *row.suite == key.suite_id) && (!row.sample || *row.sample == key.sample_id) &&
         (!row.presentation || *row.presentation == base::presentation_text(key.presentation)) &&
         (!row.vote || *row.vote == key.vote);
}

/// "random:LOW:HIGH" as a number of the call's own; `occurrence` tells several in one text apart.
std::string random_number(const std::string& name, const WorkCall& call, std::uint32_t occurrence) {
  long low = 0;
  long high = -1;
  int used = 0;
  if (std::sscanf(name.c_str(), "random:%ld:%ld%n", &low, &high, &used) != 2 ||
      static_cast<std::size_t>(used) != name.size() || high < low) {
    throw base::Error("fake judge: {" + name + "} is not {random:LOW:HIGH} with whole numbers");
  }
  const auto span = static_cast<std::uint64_t>(high - low) + 1;
  return std::to_string(low + static_cast<long>(base::noise_bits(call.noise_stream, occurrence, 0) % span));
}

std::string value_of(const std::string& name, const WorkCall& call, std::uint32_t occurrence) {
  if (name == "suite") return call.key.suite_id;
  if (name == "sample") return call.key.sample_id;
  if (name == "criterion") return call.key.criterion;
  if (name == "presentation") return base::presentation_text(call.key.presentation);
  if (name == "first") return call.key.presentation.empty() ? "" : std::to_string(call.key.presentation.front());
  if (name == "vote") return std::to_string(call.key.vote);
  if (name.rfind("random:", 0) == 0) return random_number(name, call, occurrence);
  throw base::Error("fake judge: {" + name +
                    "} is none of {suite} {sample} {criterion} {presentation} {first} {vote} {random:LOW:HIGH}");
}

}  // namespace

std::string fill_template(const std::string& text, const WorkCall& call) {
  std::string filled;
  std::uint32_t occurrence = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = text.find('{', at);
    const std::size_t close = text.find('}', open);
    if (open == std::string::npos || close == std::string::npos) break;
    filled.append(text, at, open - at);
    filled += value_of(text.substr(open + 1, close - open - 1), call, occurrence++);
    at = close + 1;
  }
  return filled.append(text, at);
}

FakeJudge::FakeJudge(FakeTable table, std::function<double()> clock)
    : table_(std::move(table)), clock_(clock ? std::move(clock) : base::monotonic_seconds) {
  if (table_.diary.empty()) return;
  diary_ = ::open(table_.diary.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (diary_ < 0) throw base::Error("fake judge: " + table_.diary + " cannot be written");
}

FakeJudge::~FakeJudge() {
  if (diary_ >= 0) ::close(diary_);
}

void FakeJudge::note(const char* what, const base::CallKey& key) const {
  if (diary_ < 0) return;
  const std::string line = std::string(what) + " " + base::to_hex(base::digest(key)) + "\n";
  if (::write(diary_, line.data(), line.size()) < 0) throw base::Error("fake judge: " + table_.diary + " cannot be written");
}

void FakeJudge::submit(const WorkItem& item) {
  for (const WorkCall& call : item.calls) {
    const FakeRow* row = &table_.otherwise;
    for (const FakeRow& candidate : table_.rows) {
      if (!fits(candidate, call.key)) continue;
      row = &candidate;
      break;
    }
    Pending pending;
    pending.judgement = failed_judgement(item, call, "");
    pending.judgement.prompt_tokens = static_cast<std::int32_t>(item.prompts[call.prompt].text.plain().size());
    pending.action = row->action;
    pending.delay_seconds = row->delay_seconds;
    const std::string text = fill_template(row->text, call);
    if (row->action == FakeAction::fail) {
      pending.judgement.error = text;
    } else {
      pending.judgement.status = row->action == FakeAction::truncate ? results::Status::truncated : results::Status::ok;
      pending.judgement.text = text;
      pending.judgement.watch_logprobs = row->watch_logprobs;
    }
    waiting_.push_back(std::move(pending));
  }
}

bool FakeJudge::step(std::vector<results::Judgement>& finished) {
  if (unfinished() == 0) return false;
  const double now = clock_();
  while (running_.size() < table_.slots && !waiting_.empty()) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    note("begin", running_.back().judgement.key);
    running_.back().ends_seconds = now + running_.back().delay_seconds;
  }
  ++counters_.steps;
  counters_.calls_in_step = static_cast<std::int32_t>(running_.size());
  const std::size_t before = finished.size();
  for (auto at = running_.begin(); at != running_.end();) {
    if (at->action == FakeAction::hang || at->ends_seconds > now) {
      ++at;
      continue;
    }
    if (at->action == FakeAction::throw_error) throw std::runtime_error("fake judge: told to throw");
    if (at->action == FakeAction::exit) ::_exit(9);
    counters_.prompt_tokens_asked += static_cast<std::uint64_t>(at->judgement.prompt_tokens);
    counters_.finished_prompt_tokens += static_cast<std::uint64_t>(at->judgement.prompt_tokens);
    counters_.output_tokens += at->judgement.text.size();
    note("end", at->judgement.key);
    finished.push_back(std::move(at->judgement));
    at = running_.erase(at);
  }
  if (finished.size() == before) {
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return true;
}

void FakeJudge::cancel(const base::Hash128& call) {
  const auto is_it = [&](const Pending& pending) { return base::digest(pending.judgement.key) == call; };
  std::erase_if(waiting_, is_it);
  std::erase_if(running_, is_it);
}

void FakeJudge::cancel_all() {
  waiting_.clear();
  running_.clear();
}

}  // namespace assize::cluster
