#pragma once

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/judge.h"
#include "engine/build_input.h"
#include "engine/engine.h"
#include "media/picture_loader.h"
#include "model/model_input.h"
#include "text/tokenizer.h"

namespace assize::cluster {

/// Tokens, positions and media of a prompt with its pictures. Throws Error when they cannot be used.
using BuildInput = std::function<model::ModelInput(const WorkPrompt&, const engine::Pictures&)>;

/// When an item goes into the engine. No choice changes a bit of a judgement.
enum class Entering : std::uint8_t {
  as_loaded,  ///< when its pictures are there; the engine works on the items before it meanwhile
  at_once,    ///< before the next step, which waits for the pictures: all ranks of a group do the same
};

/// Judges by an engine on one rank. Items go into it in the order in which they came.
class EngineJudge final : public Judge {
 public:
  /// `engine`, `pictures` and whatever `build` refers to must outlive the judge. `slots` as in the engine's settings.
  /// Throws Error when two watched labels begin with the same token.
  EngineJudge(engine::Engine& engine, const text::Tokenizer& tokenizer, media::PictureLoader& pictures, BuildInput build,
              const CallSettings& settings, std::uint32_t slots, Entering entering);

  void submit(const WorkItem& item) override;
  bool step(std::vector<results::Judgement>& finished) override;
  void cancel(const base::Hash128& call) override;
  void cancel_all() override;
  std::size_t unfinished() const override { return arriving_calls_ + open_.size() + refused_.size(); }
  engine::EngineCounters counters() const override { return engine_.counters(); }
  std::uint32_t slots() const override { return slots_; }

 private:
  /// An item whose pictures are not all there yet.
  struct Arriving {
    WorkItem item;
    std::vector<engine::Pictures> pictures;  ///< of each prompt, as far as they have been taken
    std::vector<bool> asked;                 ///< whether a call has the prompt
    std::vector<std::string> refusals;       ///< of each prompt: why it cannot be asked; empty if it can
  };
  template <class Action>
  static void each_missing_picture(Arriving& arriving, const Action& action);
  bool take_pictures(Arriving& arriving, bool wait);
  void enter_arrived(bool may_wait);
  void enter(const Arriving& arriving);
  results::Judgement judgement_of(engine::Generation&& generation);
  /// Watched log-probabilities with NaN for the labels that are not watched.
  std::vector<float> by_label(const std::vector<float>& watched) const;

  engine::Engine& engine_;
  media::PictureLoader& pictures_;
  BuildInput build_;
  CallSettings settings_;
  std::vector<std::int32_t> watch_ids_;
  std::vector<std::size_t> watched_labels_;  ///< watch_after: the label of each watch id
  std::uint32_t slots_;
  Entering entering_;
  std::deque<Arriving> arriving_;
  std::size_t arriving_calls_ = 0;
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
