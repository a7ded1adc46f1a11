#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "engine/counters.h"

namespace assize::cluster {

/// Bins of step times: bin i holds steps shorter than step_bin_end(i), the last one all longer ones.
inline constexpr std::size_t kStepBins = 36;
/// Upper end of bin i in seconds: 50 us * sqrt(2)^i, from 50 us to about 9 s.
double step_bin_end(std::size_t bin);

/// Calls `field(x, y)` for every pair of numbers of two EngineCounters that only grow, always in the same order.
template <class A, class B, class Field>
void each_count(A& a, B& b, const Field& field) {
  field(a.prompt_tokens_asked, b.prompt_tokens_asked);
  field(a.images_asked, b.images_asked);
  field(a.output_tokens, b.output_tokens);
  field(a.evictions, b.evictions);
  field(a.waits, b.waits);
  field(a.finished_prompt_tokens, b.finished_prompt_tokens);
  field(a.finished_rows, b.finished_rows);
  field(a.finished_attended, b.finished_attended);
  field(a.fork_tokens, b.fork_tokens);
  field(a.prefix_tokens, b.prefix_tokens);
  field(a.steps, b.steps);
  field(a.prompt_tokens_computed, b.prompt_tokens_computed);
  field(a.rows, b.rows);
  field(a.sampled, b.sampled);
  field(a.attended, b.attended);
  field(a.keys_read, b.keys_read);
  field(a.images_encoded, b.images_encoded);
  field(a.patches, b.patches);
  field(a.patch_pairs, b.patch_pairs);
  field(a.plan_seconds, b.plan_seconds);
  field(a.model_seconds, b.model_seconds);
}

/// What a group has done up to a moment.
struct GroupTotals {
  double seconds = 0;            ///< since the first item came
  std::uint64_t judgements = 0;  ///< ended, failed ones included
  engine::EngineCounters engine;
  double full_seconds = 0;       ///< in steps that used every slot
  double half_full_seconds = 0;  ///< in steps that used at least half of the slots
  double token_seconds = 0;      ///< step time times tokens drawn in the step
  std::array<std::uint64_t, kStepBins> step_bins{};
};

/// Totals of one group, and what they were at two moments that tell the phases of a run apart.
struct GroupCounters {
  GroupTotals now;
  GroupTotals warm;  ///< when the first judgement had ended: the end of the warm-up
  GroupTotals tail;  ///< when at least half of the slots were in use for the last time: the tail begins
  std::uint64_t unfinished_calls = 0;
  std::uint64_t peak_memory_bytes = 0;  ///< resident, of the leader's process
};

/// What a group's processors can do, measured when it started; 0: not measured.
struct Ceiling {
  double flop_per_second = 0;   ///< sustained fused multiply-adds in registers, two operations each
  double bytes_per_second = 0;  ///< sustained reads of memory far larger than the caches
  int threads = 0;
  double flop_spread = 0;   ///< of the repeats that these are the best of: best / worst - 1
  double bytes_spread = 0;
  double sheet_flop_per_second = 0;   ///< a GPU's data sheet; 0: none, or an unknown device
  double sheet_bytes_per_second = 0;
};

void put(base::ByteWriter& out, const GroupCounters& counters);
/// Throws Error when the message is cut short.
GroupCounters get_counters(base::ByteReader& in);

/// Measures the steps of a group: fed by its leader, step by step.
class StepMeter {
 public:
  /// `slots`: calls that the group can have in work at the same time. `before`: what the engine had done before.
  explicit StepMeter(std::uint32_t slots, const engine::EngineCounters& before = {}) : slots_(slots), before_(before) {}

  /// Items have come; the first time starts the clock.
  void items_came(double now_seconds);
  /// A step from `begin_seconds` to `end_seconds` after which the engine stood at `engine` and `judgements` had
  /// ended.
  void step(double begin_seconds, double end_seconds, const engine::EngineCounters& engine, std::uint64_t judgements);
  /// What has been measured; unfinished_calls and peak_memory_bytes are left to the caller.
  const GroupCounters& counters() const { return counters_; }

 private:
  std::uint32_t slots_;
  engine::EngineCounters before_;
  double start_seconds_ = -1;
  GroupCounters counters_;
};

}  // namespace assize::cluster
