#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

#include "base/clock.h"
#include "base/error.h"
#include "engine/check_call.h"
#include "engine/scheduler.h"
#include "engine/stop_strings.h"

namespace assize::engine {

namespace {

void check_settings(const EngineSettings& settings) {
  if (settings.step_rows < 1 || settings.slots < 1 || settings.kv_blocks < 1) {
    throw base::Error(
        fmt::format("engine limits of {} rows, {} slots and {} KV blocks leave no room for a token: "
                    "give each at least 1",
                    settings.step_rows, settings.slots, settings.kv_blocks));
  }
}

bool equal_prompts(const Call& a, const Call& b) {
  if (!a.input || !b.input || a.input->ids.size() != b.input->ids.size()) return false;
  const std::size_t tokens = a.input->ids.size();
  if (a.input->positions.size() != 3 * tokens || b.input->positions.size() != 3 * tokens) return false;
  const auto end = static_cast<std::int32_t>(tokens);
  return first_difference(*a.input, *b.input, 0, end) == end;
}

/// Moves calls that repeat the prompt of an earlier one to the end: without forks a repeated prompt shares
/// what different prompts have in common, which the tree must have seen by then.
void repeats_last(std::vector<Call>& calls) {
  std::vector<Call> first, repeats;
  for (Call& call : calls) {
    const bool repeated =
        std::any_of(first.begin(), first.end(), [&](const Call& c) { return equal_prompts(c, call); });
    (repeated ? repeats : first).push_back(std::move(call));
  }
  calls = std::move(first);
  for (Call& call : repeats) calls.push_back(std::move(call));
}

class BatchingEngine : public Engine {
 public:
  BatchingEngine(model::Model& model, const text::Tokenizer& tokenizer, const EngineSettings& settings)
      : model_(model),
        tokenizer_(tokenizer),
        settings_(settings),
        scheduler_(settings, model.config().max_positions, model.config().vocab_size),
        results_(std::min(settings.slots, settings.step_rows)) {
    failed_.reserve(results_.size());
  }

  void submit(std::vector<Call> calls) override {
    if (!settings_.fork) repeats_last(calls);
    for (Call& call : calls) submit_one(std::move(call));
  }

  void cancel(std::uint64_t id) override {
    std::erase_if(refused_, [&](const Generation& generation) { return generation.id == id; });
    const auto it = sequences_.find(id);
    if (it == sequences_.end()) return;
    scheduler_.remove(*it->second);
    sequences_.erase(it);
  }

  bool step(std::vector<Generation>& finished) override {
    if (unfinished() == 0) return false;
    for (Generation& generation : refused_) finished.push_back(std::move(generation));
    refused_.clear();
    failed_.clear();
    EngineCounters& counters = scheduler_.counters();
    const double begin = base::monotonic_seconds();
    const bool has_work = scheduler_.plan(work_, failed_);
    for (Sequence* sequence : failed_) finish(*sequence, FinishReason::error, finished);
    const double planned = base::monotonic_seconds();
    counters.plan_seconds += planned - begin;
    if (!has_work) return true;
    run();
    const double computed = base::monotonic_seconds();
    counters.model_seconds += computed - planned;
    apply(finished);
    counters.plan_seconds += base::monotonic_seconds() - computed;
    return true;
  }

  std::size_t unfinished() const override { return sequences_.size() + refused_.size(); }
  const EngineCounters& counters() const override { return scheduler_.counters(); }

 private:
  void submit_one(Call call) {
    const std::uint64_t id = call.id;
    const bool known = sequences_.count(id) > 0 || std::any_of(refused_.begin(), refused_.end(),
                                                               [&](const auto& g) { return g.id == id; });
    if (known) throw std::logic_error(fmt::format("call id {} is in use", id));
    Generation generation;
    generation.id = id;
    generation.error = check_call(call, model_.config(), settings_);
    if (!generation.error.empty()) {
      generation.finish = FinishReason::error;
      refused_.push_back(std::move(generation));
      return;
    }
    generation.prompt_tokens = static_cast<std::int32_t>(call.input->ids.size());
    scheduler_.counters().prompt_tokens_asked += generation.prompt_tokens;
    scheduler_.counters().images_asked += call.input->media.size();
    if (generation.prompt_tokens >= model_.config().max_positions ||
        !scheduler_.fits(generation.prompt_tokens)) {
      generation.finish = FinishReason::too_long;
      generation.error =
          fmt::format("the prompt has {} tokens; the model's context is {}, the KV cache holds {}",
                      generation.prompt_tokens, model_.config().max_positions,
                      std::int64_t{settings_.kv_blocks} * backend::kBlockTokens);
      refused_.push_back(std::move(generation));
      return;
    }
    if (call.sampling.max_new_tokens == 0) {
      generation.finish = FinishReason::length;
      refused_.push_back(std::move(generation));
      return;
    }
    auto sequence = std::make_unique<Sequence>();
    sequence->call = std::move(call);
    sequence->order = submissions_++;
    sequence->generation = std::move(generation);
    scheduler_.add(*sequence);
    sequences_.emplace(id, std::move(sequence));
  }

  /// Executes work_ on the model.
  void run() {
    for (const PictureToEncode& picture : work_.pictures)
      model_.encode_image(*picture.image, picture.embedding_row);
    for (const BlockCopy& copy : work_.copies) model_.copy_block(copy.from, copy.to, copy.tokens);
    model_.forward(work_.plan, std::span(results_).first(work_.plan.samples.size()));
  }

  /// Takes the tokens of work_ into their sequences.
  void apply(std::vector<Generation>& finished) {
    for (std::size_t i = 0; i < work_.sampled.size(); ++i) {
      Sequence& sequence = *work_.sampled[i];
      if (!results_[i].ok) {
        sequence.generation.error =
            fmt::format("the logits of token {} hold a NaN or an infinity", sequence.generated());
        finish(sequence, FinishReason::bad_numbers, finished);
      } else if (const auto reason = append(sequence, results_[i])) {
        finish(sequence, *reason, finished);
      }
    }
  }

  /// Appends a token; says whether it is the last.
  std::optional<FinishReason> append(Sequence& sequence, const backend::SampleResult& result) {
    const Sampling& sampling = sequence.call.sampling;
    std::string& text = sequence.generation.text;
    if (!sequence.characters) sequence.characters.emplace(tokenizer_);
    const std::int32_t id = sequence.append(result);
    if (std::count(sampling.stop_ids.begin(), sampling.stop_ids.end(), id)) return FinishReason::stop;
    const std::size_t old_size = text.size();
    text += sequence.characters->push(id);
    if (sequence.rounds < sampling.forcing.rounds && go_back(sequence, old_size)) return std::nullopt;
    const std::string& after = sequence.call.watch_after;
    if (!after.empty() && text.size() > old_size && text.ends_with(after)) sequence.watch_at.push_back(sequence.generated());
    const std::size_t end = end_at_stop(text, old_size, sampling.stop_strings);
    if (end != std::string::npos) {
      text.resize(end);
      sequence.characters.reset();
      return FinishReason::stop;
    }
    const bool full = sequence.prompt_tokens() + sequence.generated() >= model_.config().max_positions;
    if (full || sequence.generated() >= sampling.max_new_tokens) return FinishReason::length;
    return std::nullopt;
  }

  /// Budget forcing: whether the text, which grew from `old_size` bytes, has come to its end and the sequence has
  /// gone back.
  bool go_back(Sequence& sequence, std::size_t old_size) {
    const BudgetForcing& forcing = sequence.call.sampling.forcing;
    std::string& text = sequence.generation.text;
    if (end_at_stop(text, old_size, {forcing.end}) == std::string::npos) return false;
    auto back = take_back(sequence.generation.ids, tokenizer_, forcing);
    if (!back) return false;
    sequence.go_back(std::move(*back));
    sequence.characters.emplace(tokenizer_);
    text.clear();
    for (const std::int32_t id : sequence.generation.ids) text += sequence.characters->push(id);
    return true;
  }

  void finish(Sequence& sequence, FinishReason reason, std::vector<Generation>& finished) {
    Generation& generation = sequence.generation;
    if (sequence.characters) generation.text += sequence.characters->finish();
    generation.finish = reason;
    count_finished(sequence);
    scheduler_.observe_length(sequence.generated());
    scheduler_.remove(sequence);
    finished.push_back(std::move(generation));
    sequences_.erase(sequence.call.id);
  }

  void count_finished(const Sequence& sequence) {
    EngineCounters& counters = scheduler_.counters();
    const std::uint64_t prompt = sequence.prompt_tokens(), output = sequence.generated();
    const std::uint64_t rows = prompt + std::max<std::uint64_t>(output, 1) - 1;
    counters.output_tokens += output;
    counters.finished_prompt_tokens += prompt;
    counters.finished_rows += rows;
    counters.finished_attended += rows * (rows + 1) / 2;
    const std::int32_t reused = sequence.prompt_tokens() - sequence.generation.prefilled_tokens;
    if (reused > 0) (sequence.forked ? counters.fork_tokens : counters.prefix_tokens) += reused;
  }

  model::Model& model_;
  const text::Tokenizer& tokenizer_;
  EngineSettings settings_;
  Scheduler scheduler_;
  StepWork work_;
  std::vector<backend::SampleResult> results_;
  std::vector<Sequence*> failed_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Sequence>> sequences_;
  std::vector<Generation> refused_;  ///< finished without a step, to be handed out with the next
  std::uint64_t submissions_ = 0;
};

}  // namespace

std::unique_ptr<Engine> make_engine(model::Model& model, const text::Tokenizer& tokenizer,
                                    const EngineSettings& settings) {
  check_settings(settings);
  return std::make_unique<BatchingEngine>(model, tokenizer, settings);
}

}  // namespace assize::engine
