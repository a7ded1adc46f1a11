#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "cluster/judge.h"
#include "engine/engine.h"
#include "model/model_input.h"
#include "text/tokenizer.h"

namespace assize::cluster {

/// Tokens, positions and picture patches of a prompt. Throws Error when a picture cannot be used.
using BuildInput = std::function<model::ModelInput(const WorkPrompt&)>;

/// Judges by an engine on one rank.
class EngineJudge final : public Judge {
 public:
  /// `engine` and whatever `build` refers to must outlive the judge. `slots` as in the engine's settings.
  /// Throws Error when two watched labels begin with the same token.
  EngineJudge(engine::Engine& engine, const text::Tokenizer& tokenizer, BuildInput build, const CallSettings& settings,
              std::uint32_t slots);

  void submit(const WorkItem& item) override;
  bool step(std::vector<results::Judgement>& finished) override;
  void cancel(const base::Hash128& call) override;
  void cancel_all() override;
  std::size_t unfinished() const override { return open_.size() + refused_.size(); }
  engine::EngineCounters counters() const override { return engine_.counters(); }
  std::uint32_t slots() const override { return slots_; }

 private:
  results::Judgement judgement_of(engine::Generation&& generation);
  /// Watched log-probabilities with NaN for the labels that are not watched.
  std::vector<float> by_label(const std::vector<float>& watched) const;

  engine::Engine& engine_;
  BuildInput build_;
  CallSettings settings_;
  std::vector<std::int32_t> watch_ids_;
  std::vector<std::size_t> watched_labels_;  ///< watch_after: the label of each watch id
  std::uint32_t slots_;
  std::uint64_t next_id_ = 0;
  /// A call in the engine.
  struct Open {
    results::Judgement row;  ///< to be filled
    bool exact = false;      ///< WorkCall::output_tokens was set
  };
  std::unordered_map<std::uint64_t, Open> open_;  ///< by engine call id
  std::vector<results::Judgement> refused_;                     ///< failed before they reached the engine
};

/// The first token of each label, as it follows a prefilled answer. Throws Error when a label has no token or
/// two labels share their first one.
std::vector<std::int32_t> first_tokens(const text::Tokenizer& tokenizer, const std::vector<std::string>& labels);

}  // namespace assize::cluster
