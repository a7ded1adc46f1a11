#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/budget_forcing.h"
#include "engine/counters.h"
#include "model/model.h"
#include "model/model_input.h"
#include "text/tokenizer.h"

namespace assize::engine {

/// How tokens are chosen and when a generation ends.
struct Sampling {
  float temperature = 0.0f;
  float top_p = 1.0f;
  std::int32_t top_k = 0;
  float repetition_penalty = 1.0f;
  std::int32_t max_new_tokens = 512;
  std::vector<std::int32_t> stop_ids;     ///< all of them, the model's own too; not part of the text
  std::vector<std::string> stop_strings;  ///< kept in the text, which ends with it
  BudgetForcing forcing;
};

/// One generation that is wanted. Calls with equal prompts share them: votes fork the KV cache of the prompt.
struct Call {
  std::uint64_t id = 0;  ///< chosen by the caller, unique among unfinished calls
  std::shared_ptr<const model::ModelInput> input;
  Sampling sampling;
  std::uint64_t noise_stream = 0;
  std::vector<std::int32_t> watch_ids;  ///< log-probabilities of these are reported
  /// Where: empty, at the first generated position; else at each position that follows this text.
  std::string watch_after;
  std::int32_t top_logprobs = 0;        ///< K most likely ids at every step
};

enum class FinishReason : std::uint8_t {
  stop,         ///< a stop token or stop string
  length,       ///< max_new_tokens or the model's context reached: truncated
  too_long,     ///< the prompt leaves no room for a token in the context or the KV cache: nothing generated
  bad_numbers,  ///< NaN or infinity in the logits: failed
  error,        ///< failed for the reason in `error`
};

/// What came of a Call.
struct Generation {
  std::uint64_t id = 0;
  std::vector<std::int32_t> ids;  ///< generated or forced, with the stop token if there was one
  std::string text;               ///< without stop token; UTF-8 (invalid bytes as U+FFFD)
  FinishReason finish = FinishReason::stop;
  std::string error;
  double sum_logprob = 0;  ///< of the generated tokens; forced ones count nothing
  std::vector<float> watch_logprobs;  ///< one for each watch id, position after position
  std::vector<std::vector<backend::TokenLogprob>> top_logprobs;
  std::int32_t prompt_tokens = 0;
  /// Prompt tokens computed for this call: 1 when all were shared (the last one is every call's own), more
  /// than prompt_tokens after evictions.
  std::int32_t prefilled_tokens = 0;
};

/// Limits and switches. None of them changes a single bit of a Generation.
struct EngineSettings {
  std::int32_t step_rows = 512;     ///< rows of one step (chunked prefill and decode mixed)
  std::int32_t slots = 64;          ///< sequences decoding at the same time
  std::int32_t kv_blocks = 0;       ///< as in model::ModelLimits
  std::int32_t image_patches = 0;   ///< as in model::ModelLimits
  std::int32_t embedding_rows = 0;  ///< as in model::ModelLimits
  bool prefix_sharing = true;       ///< different prompts share what they have in common
  bool fork = true;                 ///< calls with equal prompts share them
  bool grouped_attention = true;    ///< the backend is told which sequences read the same blocks
  bool encoder_cache = true;        ///< a picture is encoded once for all calls that show it, else for each
};

/// Continuous batching over prompt groups. Deterministic: what it does depends on the calls and their order
/// only, so the ranks of a tensor-parallel group run equal engines in step.
class Engine {
 public:
  virtual ~Engine() = default;
  /// Takes calls in. What is wrong with a call becomes its Generation; only an id in use throws
  /// (logic_error).
  virtual void submit(std::vector<Call> calls) = 0;
  /// Forgets a call that has not finished; no Generation comes of it.
  virtual void cancel(std::uint64_t id) = 0;
  /// Runs one step and appends what finished in it. Returns false when nothing was left to do.
  virtual bool step(std::vector<Generation>& finished) = 0;
  virtual std::size_t unfinished() const = 0;
  virtual const EngineCounters& counters() const = 0;
};

/// `model` and `tokenizer` must outlive the engine. The model must have been loaded with limits at least as
/// large as the settings (sample_rows as slots). Throws Error for settings that leave no room for one row.
std::unique_ptr<Engine> make_engine(model::Model& model, const text::Tokenizer& tokenizer,
                                    const EngineSettings& settings);

}  // namespace assize::engine
