#include "throughput/figures.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assize::throughput {

namespace {

using cluster::GroupTotals;

constexpr FigureMeaning kMeanings[] = {
    {"seconds", Unit::seconds, "Duration", "length of the phase; of all groups: the mean over groups"},
    {"judgements_per_second", Unit::per_second, "Judgements", "judgements that ended / duration"},
    {"prompt_tokens_asked_per_second", Unit::per_second, "Prompt tokens asked",
     "prompt tokens of the judgements that ended, each counted whole / duration"},
    {"prompt_tokens_computed_per_second", Unit::per_second, "Prompt tokens computed", "prompt tokens that went through the model / duration"},
    {"output_tokens_per_second", Unit::per_second, "Output tokens", "tokens drawn / duration"},
    {"seconds_per_output_token", Unit::seconds, "Time per output token",
     "mean over output tokens of the step that drew the token: (end to end - time to first token) / (tokens - 1), averaged"},
    {"rows_per_step", Unit::ratio, "Rows a step", "tokens computed / steps"},
    {"flop_use", Unit::share, "Model FLOP use (MFU)",
     "(2 x parameters x tokens computed + attention) / (duration x measured multiply-add rate)"},
    {"asked_flop_use", Unit::share, "Goodput FLOP use",
     "the same with the tokens that were asked for, reused prefixes included: above the line before it by what reuse saves"},
    {"bandwidth_use", Unit::share, "Memory bandwidth use (MBU)",
     "(weights once a step + keys and values once a group of sharers) / (duration x measured read rate)"},
    {"sheet_flop_use", Unit::share, "Model FLOP use of the data sheet", "as above, of the GPU's data sheet: bf16 matrix products without sparsity"},
    {"sheet_bandwidth_use", Unit::share, "Memory bandwidth use of the data sheet", "as above, of the GPU's data sheet"},
    {"model_share", Unit::share, "Time computing", "time in which the model computed / duration"},
    {"plan_share", Unit::share, "Time planning",
     "time in which steps were planned and their tokens taken in while the model stood still / duration; what is left beside "
     "computing and planning is reading prompts, waiting for pictures and messages"},
    {"idle_slot_share", Unit::share, "Time with idle slots", "1 - time in steps that used every slot / duration"},
    {"tail_share", Unit::share, "Tail", "time after at least half of the slots were in use for the last time / whole run"},
    {"kv_blocks_high_water", Unit::blocks, "KV cache, most in use", "blocks of 64 tokens, most at one time; of all groups: the largest"},
    {"prefix_reuse", Unit::share, "Prompt tokens from other prompts", "prompt tokens had from calls with another prompt / asked"},
    {"fork_reuse", Unit::share, "Prompt tokens from forks", "prompt tokens had from a call with the same prompt / asked"},
    {"encodes_per_image", Unit::ratio, "Picture encodings a picture", "pictures through the vision tower / distinct pictures of the workload"},
    {"admission_waits", Unit::steps, "Admission waits", "steps in which a call waited for KV memory beside a free slot"},
    {"evictions", Unit::calls, "Evictions", "generations started again because KV memory ran out"},
    {"perfect_share", Unit::share, "Share of the perfect engine",
     "time of the perfect engine / wall time: matrix products only at the measured multiply-add rate, common beginnings of "
     "prompts and pictures computed once"},
    {"peak_memory_bytes", Unit::bytes, "Peak memory", "largest resident size of the process that leads the group"},
};

const FigureMeaning* meaning(const std::string& key) {
  return std::find_if(std::begin(kMeanings), std::end(kMeanings), [&](const auto& m) { return key == m.key; });
}

/// Calls `field(a, b)` for every additive number of two totals.
template <class A, class B, class Field>
void each_total(A& a, B& b, const Field& field) {
  field(a.judgements, b.judgements);
  field(a.full_seconds, b.full_seconds);
  field(a.half_full_seconds, b.half_full_seconds);
  field(a.token_seconds, b.token_seconds);
  for (std::size_t i = 0; i < a.step_bins.size(); ++i) field(a.step_bins[i], b.step_bins[i]);
  cluster::each_count(a.engine, b.engine, field);
}

/// What happened after `before`.
GroupTotals difference(GroupTotals after, const GroupTotals& before) {
  each_total(after, before, [](auto& a, const auto& b) { a -= b; });
  after.seconds -= before.seconds;
  return after;
}

void add(GroupTotals& sum, const GroupTotals& part) {
  each_total(sum, part, [](auto& a, const auto& b) { a += b; });
  sum.seconds += part.seconds;
  sum.engine.kv_blocks_high_water = std::max(sum.engine.kv_blocks_high_water, part.engine.kv_blocks_high_water);
}

/// One group's part of a phase; `seconds` is its length there.
GroupTotals part_of(const cluster::GroupCounters& counters, Phase phase, double wall_seconds) {
  const GroupTotals& warm = counters.warm;
  const GroupTotals& tail = counters.tail.seconds > warm.seconds ? counters.tail : warm;
  GroupTotals now = counters.now;
  now.seconds = std::max(now.seconds, wall_seconds);
  switch (phase) {
    case Phase::whole: now.seconds = wall_seconds; return now;
    case Phase::warm_up: return warm;
    case Phase::steady: return difference(tail, warm);
    case Phase::tail: return difference(now, tail);
  }
  return now;
}

double ratio(double a, double b) { return b > 0 ? a / b : std::numeric_limits<double>::quiet_NaN(); }
double number(std::uint64_t value) { return static_cast<double>(value); }

/// The figures of one scope and phase. `groups` groups were busy for `total.seconds` together.
void add_figures(std::vector<Figure>& out, int group, Phase phase, const GroupTotals& total, int groups,
                 const ModelWork& work, const cluster::Ceiling& ceiling) {
  const double seconds = total.seconds / groups;
  const auto add = [&](const char* key, double value) { out.push_back({group, phase, meaning(key), value}); };
  const engine::EngineCounters& e = total.engine;
  add("seconds", seconds);
  add("judgements_per_second", ratio(number(total.judgements), seconds));
  // A prompt counts when its judgement ends, which says nothing about the phases before the first and after the last ones.
  const bool asked = phase == Phase::whole || phase == Phase::steady;
  if (asked) add("prompt_tokens_asked_per_second", ratio(number(e.finished_prompt_tokens), seconds));
  add("prompt_tokens_computed_per_second", ratio(number(e.prompt_tokens_computed), seconds));
  add("output_tokens_per_second", ratio(number(e.sampled), seconds));
  add("seconds_per_output_token", ratio(total.token_seconds, number(e.sampled)));
  add("rows_per_step", ratio(number(e.rows), number(e.steps)));
  add("flop_use", ratio(computed_flop(work, e), seconds * ceiling.flop_per_second));
  if (asked) add("asked_flop_use", ratio(asked_flop(work, e), seconds * ceiling.flop_per_second));
  add("bandwidth_use", ratio(read_bytes(work, e), seconds * ceiling.bytes_per_second));
  if (ceiling.sheet_flop_per_second > 0) {
    add("sheet_flop_use", ratio(computed_flop(work, e), seconds * ceiling.sheet_flop_per_second));
    add("sheet_bandwidth_use", ratio(read_bytes(work, e), seconds * ceiling.sheet_bytes_per_second));
  }
  add("model_share", ratio(e.model_seconds, total.seconds));
  add("plan_share", ratio(e.plan_seconds, total.seconds));
  add("idle_slot_share", ratio(total.seconds - total.full_seconds, total.seconds));
}

}  // namespace

const char* name(Phase phase) {
  static constexpr const char* kNames[] = {"whole", "warm-up", "steady", "tail"};
  return kNames[static_cast<int>(phase)];
}

const char* name(Unit unit) {
  static constexpr const char* kNames[] = {"s", "1/s", "", "", "B", "blocks", "steps", "calls"};
  return kNames[static_cast<int>(unit)];
}

std::span<const FigureMeaning> figure_meanings() { return kMeanings; }

std::vector<Figure> figures(const Measurement& run) {
  std::vector<Figure> out;
  const auto add_scope = [&](int index, std::span<const cluster::Progress::Group> groups) {
    cluster::Ceiling ceiling;
    std::uint64_t memory = 0;
    for (const auto& group : groups) {
      ceiling.flop_per_second += group.ceiling.flop_per_second;
      ceiling.bytes_per_second += group.ceiling.bytes_per_second;
      ceiling.sheet_flop_per_second += group.ceiling.sheet_flop_per_second;
      ceiling.sheet_bytes_per_second += group.ceiling.sheet_bytes_per_second;
      memory = std::max(memory, group.counters.peak_memory_bytes);
    }
    const int count = static_cast<int>(groups.size());
    GroupTotals whole;
    double tail_seconds = 0;
    for (const Phase phase : {Phase::whole, Phase::warm_up, Phase::steady, Phase::tail}) {
      GroupTotals total;
      for (const auto& group : groups) add(total, part_of(group.counters, phase, run.wall_seconds));
      add_figures(out, index, phase, total, count, run.work, ceiling);
      if (phase == Phase::whole) whole = total;
      if (phase == Phase::tail) tail_seconds = total.seconds;
    }
    const auto add_whole = [&](const char* key, double value) { out.push_back({index, Phase::whole, meaning(key), value}); };
    const engine::EngineCounters& e = whole.engine;
    add_whole("tail_share", ratio(tail_seconds, whole.seconds));
    add_whole("kv_blocks_high_water", e.kv_blocks_high_water);
    add_whole("prefix_reuse", ratio(number(e.prefix_tokens), number(e.finished_prompt_tokens)));
    add_whole("fork_reuse", ratio(number(e.fork_tokens), number(e.finished_prompt_tokens)));
    if (index < 0) add_whole("encodes_per_image", ratio(number(e.images_encoded), number(run.asked.images)));
    add_whole("admission_waits", number(e.waits));
    add_whole("evictions", number(e.evictions));
    if (index < 0) {
      const double perfect = perfect_flop(run.work, run.asked, e.output_tokens);
      add_whole("perfect_share", ratio(ratio(perfect, ceiling.flop_per_second), run.wall_seconds));
    }
    add_whole("peak_memory_bytes", number(memory));
  };
  const std::span<const cluster::Progress::Group> all(run.group);
  add_scope(-1, all);
  for (std::size_t group = 0; group < all.size(); ++group) add_scope(static_cast<int>(group), all.subspan(group, 1));
  return out;
}

double value_of(std::span<const Figure> figures, int group, Phase phase, const std::string& key) {
  for (const Figure& figure : figures) {
    if (figure.group == group && figure.phase == phase && key == figure.meaning->key) return figure.value;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

TimeShares time_shares(const Measurement& run) {
  TimeShares shares;
  if (run.group.empty() || run.wall_seconds <= 0) return shares;
  for (const auto& group : run.group) {
    shares.computing += group.counters.now.engine.model_seconds;
    shares.planning += group.counters.now.engine.plan_seconds;
  }
  const double seconds = run.wall_seconds * static_cast<double>(run.group.size());
  shares.computing /= seconds;
  shares.planning /= seconds;
  shares.other = std::max(0.0, 1 - shares.computing - shares.planning);
  return shares;
}

std::vector<std::uint64_t> step_bins(const Measurement& run) {
  std::vector<std::uint64_t> bins(cluster::kStepBins);
  for (const auto& group : run.group) {
    for (std::size_t i = 0; i < bins.size(); ++i) bins[i] += group.counters.now.step_bins[i];
  }
  return bins;
}

}  // namespace assize::throughput
