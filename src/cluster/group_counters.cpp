#include "cluster/group_counters.h"

#include <cmath>

namespace assize::cluster {

namespace {

/// Calls `field` with every number of `totals`, always in the same order.
template <class Totals, class Field>
void each_field(Totals& totals, const Field& field) {
  field(totals.seconds);
  field(totals.judgements);
  auto& e = totals.engine;
  each_count(e, e, [&field](auto& value, auto&) { field(value); });
  field(e.kv_blocks_high_water);
  field(e.calls_in_step);
  field(e.sampled_in_step);
  field(totals.full_seconds);
  field(totals.half_full_seconds);
  field(totals.token_seconds);
  for (auto& bin : totals.step_bins) field(bin);
}

}  // namespace

double step_bin_end(std::size_t bin) { return 50e-6 * std::pow(2.0, 0.5 * static_cast<double>(bin)); }

void put(base::ByteWriter& out, const GroupCounters& counters) {
  const auto put_field = [&out](const auto& value) { out.put(value); };
  for (const GroupTotals* totals : {&counters.now, &counters.warm, &counters.tail}) each_field(*totals, put_field);
  out.put(counters.unfinished_calls).put(counters.peak_memory_bytes);
}

GroupCounters get_counters(base::ByteReader& in) {
  GroupCounters counters;
  const auto get_field = [&in](auto& value) { value = in.get<std::remove_reference_t<decltype(value)>>(); };
  for (GroupTotals* totals : {&counters.now, &counters.warm, &counters.tail}) each_field(*totals, get_field);
  counters.unfinished_calls = in.get<std::uint64_t>();
  counters.peak_memory_bytes = in.get<std::uint64_t>();
  return counters;
}

void StepMeter::items_came(double now_seconds) {
  if (start_seconds_ < 0) start_seconds_ = now_seconds;
}

void StepMeter::step(double begin_seconds, double end_seconds, const engine::EngineCounters& engine,
                     std::uint64_t judgements) {
  GroupTotals& now = counters_.now;
  engine::EngineCounters done = engine;
  each_count(done, before_, [](auto& count, const auto& earlier) { count -= earlier; });
  const bool computed = done.steps > now.engine.steps;
  const double seconds = end_seconds - begin_seconds;
  now.seconds = end_seconds - start_seconds_;
  now.judgements += judgements;
  now.engine = done;
  const auto in_use = static_cast<std::uint32_t>(engine.calls_in_step);
  if (computed) {
    if (in_use >= slots_) now.full_seconds += seconds;
    if (2 * in_use >= slots_) now.half_full_seconds += seconds;
    now.token_seconds += seconds * engine.sampled_in_step;
    std::size_t bin = 0;
    while (bin + 1 < kStepBins && seconds >= step_bin_end(bin)) ++bin;
    ++now.step_bins[bin];
  }
  if (now.judgements > 0 && counters_.warm.judgements == 0) counters_.warm = now;
  if (2 * in_use >= slots_) counters_.tail = now;
}

}  // namespace assize::cluster
