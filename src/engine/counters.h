#pragma once

#include <cstdint>

namespace assize::engine {

/// What an engine has done since its start. "Asked" counts what the finished calls wanted as if each had been
/// computed alone; the rest counts what was computed.
struct EngineCounters {
  // calls
  std::uint64_t prompt_tokens_asked = 0;  ///< of all calls submitted
  std::uint64_t images_asked = 0;         ///< of all calls submitted
  std::uint64_t output_tokens = 0;        ///< of finished calls
  std::uint64_t evictions = 0;            ///< generations started again because memory ran out
  std::uint64_t waits = 0;                ///< steps in which a call waited for KV memory beside a free slot
  // work asked by finished calls
  std::uint64_t finished_prompt_tokens = 0;
  std::uint64_t finished_rows = 0;      ///< prompt tokens + output tokens - 1 a call
  std::uint64_t finished_attended = 0;  ///< keys that these rows read, summed over the rows
  std::uint64_t fork_tokens = 0;        ///< prompt tokens had from a call with the same prompt
  std::uint64_t prefix_tokens = 0;      ///< prompt tokens had from calls with other prompts
  // work computed
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens_computed = 0;
  std::uint64_t rows = 0;            ///< through the layers
  std::uint64_t sampled = 0;         ///< rows through the output head: tokens drawn
  std::uint64_t attended = 0;        ///< keys read by the rows, summed over the rows
  std::uint64_t keys_read = 0;       ///< keys read from memory, shared prefixes once a group
  std::uint64_t images_encoded = 0;
  std::uint64_t patches = 0;         ///< of the pictures encoded
  std::uint64_t patch_pairs = 0;     ///< squares of their patch counts, summed: full attention of the tower
  double plan_seconds = 0;   ///< planning steps and taking their tokens in: the model stands still meanwhile
  double model_seconds = 0;  ///< in which the model computed
  std::int32_t kv_blocks_high_water = 0;
  // the last step
  std::int32_t calls_in_step = 0;    ///< slots in use: calls with their prompt or a generation in work
  std::int32_t sampled_in_step = 0;  ///< tokens drawn
};

}  // namespace assize::engine
