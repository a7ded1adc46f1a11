#include "cluster/engine_judge.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace assize::cluster {

namespace {

/// Why a generation counts as failed; empty if it does not.
std::string failure_of(const engine::Generation& generation) {
  switch (generation.finish) {
    case engine::FinishReason::stop:
    case engine::FinishReason::length: return "";
    case engine::FinishReason::too_long:
      return "the prompt of " + std::to_string(generation.prompt_tokens) +
             " tokens is longer than the model's context or the KV cache";
    case engine::FinishReason::bad_numbers: return "the judge computed NaN or infinite logits";
    case engine::FinishReason::error: return generation.error.empty() ? "the engine failed" : generation.error;
  }
  return "the engine ended it in an unknown way";
}

}  // namespace

std::vector<std::int32_t> first_tokens(const text::Tokenizer& tokenizer, const std::vector<std::string>& labels) {
  std::vector<std::int32_t> ids;
  for (const std::string& label : labels) {
    const auto tokens = tokenizer.encode(label, text::SpecialTokens::as_text);
    if (tokens.empty()) throw base::Error("likelihood reading: a label is empty");
    const auto same = std::find(ids.begin(), ids.end(), tokens.front());
    if (same != ids.end()) {
      throw base::Error("likelihood reading: the labels \"" + labels[static_cast<std::size_t>(same - ids.begin())] +
                        "\" and \"" + label + "\" begin with the same token of this judge; use `reading: generate`");
    }
    ids.push_back(tokens.front());
  }
  return ids;
}

EngineJudge::EngineJudge(engine::Engine& engine, const text::Tokenizer& tokenizer, media::PictureLoader& pictures,
                         BuildInput build, const CallSettings& settings, std::uint32_t slots, Entering entering)
    : engine_(engine),
      pictures_(pictures),
      build_(std::move(build)),
      settings_(settings),
      slots_(slots),
      entering_(entering) {
  if (settings.watch_after.empty()) {
    watch_ids_ = first_tokens(tokenizer, settings.watch_labels);
    return;
  }
  for (std::size_t i = 0; i < settings.watch_labels.size(); ++i) {
    const auto tokens = tokenizer.encode(settings.watch_labels[i], text::SpecialTokens::as_text);
    if (tokens.size() != 1) continue;
    watch_ids_.push_back(tokens.front());
    watched_labels_.push_back(i);
  }
}

/// Calls `action(prompt, path, sizing)` for the pictures that have not been taken yet, in order, until it returns false.
template <class Action>
void EngineJudge::each_missing_picture(Arriving& arriving, const Action& action) {
  for (std::size_t p = 0; p < arriving.item.prompts.size(); ++p) {
    const WorkPrompt& prompt = arriving.item.prompts[p];
    for (std::size_t i = arriving.pictures[p].size(); arriving.asked[p] && i < prompt.images.size(); ++i) {
      if (!action(p, prompt.images[i], media::ImageSizing{prompt.image_width_px, prompt.image_height_px})) return;
    }
  }
}

void EngineJudge::submit(const WorkItem& item) {
  const std::size_t prompts = item.prompts.size();
  Arriving arriving{item, std::vector<engine::Pictures>(prompts), std::vector<bool>(prompts), std::vector<std::string>(prompts)};
  for (const WorkCall& call : item.calls) arriving.asked[call.prompt] = true;
  each_missing_picture(arriving, [&](std::size_t, const std::string& path, media::ImageSizing sizing) {
    pictures_.expect(path, sizing);
    return true;
  });
  arriving_calls_ += item.calls.size();
  arriving_.push_back(std::move(arriving));
  enter_arrived(false);
}

/// Takes the pictures of an item that are there, or all of them if it may wait. True: it has them all.
bool EngineJudge::take_pictures(Arriving& arriving, bool wait) {
  bool complete = true;
  each_missing_picture(arriving, [&](std::size_t prompt, const std::string& path, media::ImageSizing sizing) {
    complete = wait || pictures_.ready(path, sizing);
    if (!complete) return false;
    arriving.pictures[prompt].emplace_back();
    try {
      arriving.pictures[prompt].back() = pictures_.take(path, sizing);
    } catch (const base::Error& error) {
      if (arriving.refusals[prompt].empty()) arriving.refusals[prompt] = error.what();
    }
    return true;
  });
  return complete;
}

/// Hands the engine the items that have their pictures. May it wait, it does so for all of them or, as they are loaded,
/// where there is nothing else to do.
void EngineJudge::enter_arrived(bool may_wait) {
  while (!arriving_.empty()) {
    const bool nothing_else = engine_.unfinished() == 0 && refused_.empty();
    if (!take_pictures(arriving_.front(), may_wait && (entering_ == Entering::at_once || nothing_else))) return;
    const Arriving next = std::move(arriving_.front());
    arriving_.pop_front();
    arriving_calls_ -= next.item.calls.size();
    enter(next);
  }
}

void EngineJudge::enter(const Arriving& arriving) {
  const WorkItem& item = arriving.item;
  // Calls with equal prompts share the input, so that the engine can share the work.
  std::vector<std::shared_ptr<const model::ModelInput>> inputs(item.prompts.size());
  std::vector<std::string> refusals = arriving.refusals;
  for (std::size_t p = 0; p < item.prompts.size(); ++p) {
    if (!arriving.asked[p] || !refusals[p].empty()) continue;
    try {
      inputs[p] = std::make_shared<const model::ModelInput>(build_(item.prompts[p], arriving.pictures[p]));
    } catch (const base::Error& error) {
      refusals[p] = error.what();
    }
  }
  std::vector<engine::Call> calls;
  for (const WorkCall& call : item.calls) {
    results::Judgement row = failed_judgement(item, call, refusals[call.prompt]);
    if (!inputs[call.prompt]) {
      refused_.push_back(std::move(row));
      continue;
    }
    engine::Call asked;
    asked.id = next_id_++;
    asked.input = inputs[call.prompt];
    asked.sampling = settings_.sampling;
    if (call.output_tokens > 0) {
      asked.sampling.max_new_tokens = call.output_tokens;
      asked.sampling.stop_ids.clear();
      asked.sampling.stop_strings.clear();
    }
    asked.noise_stream = call.noise_stream;
    asked.watch_ids = watch_ids_;
    asked.watch_after = settings_.watch_after;
    open_[asked.id] = {std::move(row), call.output_tokens > 0};
    calls.push_back(std::move(asked));
  }
  engine_.submit(std::move(calls));
}

bool EngineJudge::step(std::vector<results::Judgement>& finished) {
  enter_arrived(true);
  std::move(refused_.begin(), refused_.end(), std::back_inserter(finished));
  refused_.clear();
  std::vector<engine::Generation> generations;
  const bool more = engine_.step(generations);
  for (engine::Generation& generation : generations) finished.push_back(judgement_of(std::move(generation)));
  return more || !generations.empty() || !arriving_.empty();
}

results::Judgement EngineJudge::judgement_of(engine::Generation&& generation) {
  const auto found = open_.find(generation.id);
  if (found == open_.end()) throw base::Error("the engine ended a call that was not asked", base::ErrorKind::failed);
  results::Judgement row = std::move(found->second.row);
  const bool exact = found->second.exact;
  open_.erase(found);
  row.prompt_tokens = generation.prompt_tokens;
  row.prefilled_tokens = generation.prefilled_tokens;
  row.error = failure_of(generation);
  if (!row.error.empty()) return row;
  // The likelihood reading wants one position and a made-up workload its number of tokens: no truncation.
  const bool likelihood = !watch_ids_.empty() && settings_.watch_after.empty();
  const bool cut = generation.finish == engine::FinishReason::length && !likelihood && !exact;
  row.status = cut ? results::Status::truncated : results::Status::ok;
  row.text = std::move(generation.text);
  row.token_ids = std::move(generation.ids);
  row.sum_logprob = generation.sum_logprob;
  row.watch_logprobs = settings_.watch_after.empty() ? std::move(generation.watch_logprobs) : by_label(generation.watch_logprobs);
  return row;
}

std::vector<float> EngineJudge::by_label(const std::vector<float>& watched) const {
  const std::size_t positions = watch_ids_.empty() ? 0 : watched.size() / watch_ids_.size();
  std::vector<float> out(positions * settings_.watch_labels.size(), std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < positions * watch_ids_.size(); ++i) {
    out[i / watch_ids_.size() * settings_.watch_labels.size() + watched_labels_[i % watch_ids_.size()]] = watched[i];
  }
  return out;
}

void EngineJudge::cancel(const base::Hash128& call) {
  const auto is_it = [&](const results::Judgement& row) { return base::digest(row.key) == call; };
  std::erase_if(refused_, is_it);
  // What is left of an item that is dropped as a whole takes its turn and asks nothing.
  for (Arriving& arriving : arriving_) {
    arriving_calls_ -= std::erase_if(arriving.item.calls, [&](const WorkCall& c) { return base::digest(c.key) == call; });
  }
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& entry) { return is_it(entry.second.row); });
  if (found == open_.end()) return;
  engine_.cancel(found->first);
  open_.erase(found);
}

void EngineJudge::cancel_all() {
  for (const auto& [id, row] : open_) engine_.cancel(id);
  open_.clear();
  refused_.clear();
  for (Arriving& arriving : arriving_) {
    each_missing_picture(arriving, [&](std::size_t, const std::string& path, media::ImageSizing sizing) {
      pictures_.forget(path, sizing);
      return true;
    });
  }
  arriving_.clear();
  arriving_calls_ = 0;
}

}  // namespace assize::cluster
