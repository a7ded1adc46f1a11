#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/judge.h"

namespace assize::cluster {

/// What a fake does with a call.
enum class FakeAction {
  answer,       ///< ends by itself with `text`
  truncate,     ///< ends at the token limit with `text`
  fail,         ///< failed judgement with `text` as the reason
  throw_error,  ///< the step throws, as an engine out of memory does
  hang,         ///< never ends
  exit,         ///< the process exits at once, as one that crashed
};

/// One row of a table of answers. A row fits a call when every field that is set is equal; the first that fits
/// counts.
struct FakeRow {
  std::optional<std::string> suite;
  std::optional<std::string> sample;
  std::optional<std::string> presentation;  ///< as "0-1"
  std::optional<std::uint32_t> vote;
  FakeAction action = FakeAction::answer;
  /// Template: {suite} {sample} {criterion} {presentation} {first} (candidate shown first) {vote}, and
  /// {random:LOW:HIGH}, a whole number that depends on the call's noise stream alone.
  std::string text;
  std::vector<float> watch_logprobs;
  double delay_seconds = 0;
};

/// Answers of a judge that is not there.
struct FakeTable {
  std::vector<FakeRow> rows;
  FakeRow otherwise;        ///< for calls that no row fits
  std::uint32_t slots = 4;  ///< calls in work at the same time, and ended per step at most
  /// Gets a line "begin CALL" or "end CALL" whenever a call is begun or ended, CALL being its digest: a witness
  /// beside the run that says what was judged how often. Empty: none.
  std::string diary;
};

/// The text of `row` for a call.
std::string fill_template(const std::string& text, const WorkCall& call);

/// Answers from a table after the given delay: the whole path from job to report in milliseconds.
class FakeJudge final : public Judge {
 public:
  /// `clock`: seconds, for the delays; default the monotonic clock. Where a step has to wait, it sleeps at most
  /// a millisecond.
  explicit FakeJudge(FakeTable table, std::function<double()> clock = {});
  ~FakeJudge() override;

  void submit(const WorkItem& item) override;
  bool step(std::vector<results::Judgement>& finished) override;
  void cancel(const base::Hash128& call) override;
  void cancel_all() override;
  std::size_t unfinished() const override { return running_.size() + waiting_.size(); }
  engine::EngineCounters counters() const override { return counters_; }
  std::uint32_t slots() const override { return table_.slots; }

 private:
  struct Pending {
    results::Judgement judgement;
    FakeAction action = FakeAction::answer;
    double delay_seconds = 0;
    double ends_seconds = 0;
  };

  void note(const char* what, const base::CallKey& key) const;

  FakeTable table_;
  std::function<double()> clock_;
  std::deque<Pending> waiting_;
  std::vector<Pending> running_;
  engine::EngineCounters counters_;
  int diary_ = -1;
};

}  // namespace assize::cluster
