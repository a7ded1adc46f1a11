#include <cmath>

#include "support/catch.h"
#include "throughput/data_sheet.h"
#include "throughput/figures.h"

using namespace assize;
using namespace assize::throughput;

namespace {

/// SmolLM2-135M's sizes.
model::ModelConfig small_model() {
  model::ModelConfig config;
  config.hidden = 576;
  config.intermediate = 1536;
  config.layers = 30;
  config.heads = 9;
  config.kv_heads = 3;
  config.head_dim = 64;
  config.vocab_size = 49152;
  return config;
}

/// A run of one group: warm-up to 2 s, tail from 8 s, 10 s in all.
Measurement one_group() {
  Measurement run;
  run.wall_seconds = 10;
  run.work.layer_flop = 100;
  run.work.head_flop = 10;
  run.work.weight_bytes = 1000;
  run.work.key_bytes = 5;
  cluster::Progress::Group group;
  group.slots = 8;
  group.ceiling = {2000, 4000, 1};
  const auto totals = [](double seconds, std::uint64_t scale) {
    cluster::GroupTotals t;
    t.seconds = seconds;
    t.judgements = scale;
    t.engine.rows = 20 * scale;
    t.engine.sampled = 10 * scale;
    t.engine.output_tokens = 10 * scale;
    t.engine.finished_prompt_tokens = 30 * scale;
    t.engine.finished_rows = 39 * scale;
    t.engine.prompt_tokens_computed = 11 * scale;
    t.engine.prefix_tokens = 3 * scale;
    t.engine.fork_tokens = 16 * scale;
    t.engine.steps = 2 * scale;
    t.engine.keys_read = 40 * scale;
    t.engine.model_seconds = 0.7 * seconds;
    t.engine.plan_seconds = 0.02 * seconds;
    t.full_seconds = 0.5 * seconds;
    t.token_seconds = static_cast<double>(scale);
    return t;
  };
  group.counters.warm = totals(2, 1);
  group.counters.tail = totals(8, 7);
  group.counters.now = totals(9, 8);
  run.group = {group};
  return run;
}

}  // namespace

TEST_CASE("operations of a model from its configuration") {
  const ModelWork work = model_work(small_model());
  // 30 layers of q, k, v, o and three matrices of the feed-forward part.
  const double weights = 30.0 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536);
  CHECK(work.layer_flop == 2 * weights);
  CHECK(work.head_flop == 2.0 * 576 * 49152);
  CHECK(work.weight_bytes == 2 * (weights + 576.0 * 49152));
  CHECK(work.key_bytes == 30 * 2 * 192 * 4);
  CHECK(work.attended_flop == 4.0 * 30 * 576);
  CHECK(work.patch_flop == 0);
}

TEST_CASE("the perfect engine computes common beginnings once and draws the first tokens from the prompts") {
  // The workload of 32 prompts with 132 common tokens, 5 votes of 96: 27.6 s at 205 GFLOP/s with common beginnings
  // computed once, as measured peers are compared with.
  AskedWork asked;
  asked.calls = 160;
  asked.prompts = 32;
  asked.prompt_tokens = 11433;
  asked.distinct_prompt_tokens = 11433 - 31 * 132;
  const double seconds = perfect_flop(model_work(small_model()), asked, 160 * 96) / 205e9;
  CHECK(seconds == Approx(27.55).epsilon(0.005));
}

TEST_CASE("figures of the whole run and of its phases") {
  const auto all = figures(one_group());
  const auto value = [&](Phase phase, const char* key) { return value_of(all, -1, phase, key); };
  CHECK(value(Phase::whole, "seconds") == 10);
  CHECK(value(Phase::warm_up, "seconds") == 2);
  CHECK(value(Phase::steady, "seconds") == 6);
  CHECK(value(Phase::tail, "seconds") == 2);
  CHECK(value(Phase::whole, "judgements_per_second") == Approx(0.8));
  CHECK(value(Phase::steady, "judgements_per_second") == Approx(1));
  CHECK(value(Phase::steady, "output_tokens_per_second") == Approx(10));
  CHECK(value(Phase::whole, "prompt_tokens_asked_per_second") == Approx(24));
  CHECK(value(Phase::whole, "prompt_tokens_computed_per_second") == Approx(8.8));
  CHECK(value(Phase::whole, "seconds_per_output_token") == Approx(0.1));
  CHECK(value(Phase::whole, "flop_use") == Approx((100 * 160 + 10 * 80) / (10 * 2000.0)));
  CHECK(value(Phase::whole, "asked_flop_use") == Approx((100 * 312 + 10 * 80) / (10 * 2000.0)));
  CHECK(value(Phase::whole, "bandwidth_use") == Approx((1000 * 16 + 5 * 320) / (10 * 4000.0)));
  CHECK(value(Phase::whole, "idle_slot_share") == Approx(1 - 4.5 / 10));
  CHECK(value(Phase::steady, "model_share") == Approx(0.7));
  CHECK(value(Phase::steady, "plan_share") == Approx(0.02));
  CHECK(value(Phase::whole, "tail_share") == Approx(0.2));
  CHECK(value(Phase::whole, "prefix_reuse") == Approx(0.1));
  CHECK(value(Phase::whole, "fork_reuse") == Approx(16.0 / 30));
  CHECK(value_of(all, 0, Phase::whole, "judgements_per_second") == Approx(0.8));
  CHECK(std::isnan(value(Phase::warm_up, "prompt_tokens_asked_per_second")));
  CHECK(std::isnan(value(Phase::tail, "asked_flop_use")));
  CHECK(std::isnan(value(Phase::whole, "no such figure")));
}

TEST_CASE("rates of several groups add up, and their ceilings with them") {
  Measurement run = one_group();
  run.groups = 2;
  run.group.push_back(run.group.front());
  const auto all = figures(run);
  CHECK(value_of(all, -1, Phase::steady, "judgements_per_second") == Approx(2));
  CHECK(value_of(all, -1, Phase::whole, "flop_use") == value_of(all, 0, Phase::whole, "flop_use"));
  CHECK(value_of(all, -1, Phase::whole, "idle_slot_share") == Approx(0.55));
}

TEST_CASE("a run that never fills half of its slots is tail from the first judgement on") {
  Measurement run = one_group();
  run.group[0].counters.tail = {};
  const auto all = figures(run);
  CHECK(value_of(all, -1, Phase::tail, "seconds") == 8);
  CHECK(value_of(all, -1, Phase::steady, "seconds") == 0);
  CHECK(std::isnan(value_of(all, -1, Phase::steady, "judgements_per_second")));
}

TEST_CASE("a GPU's data sheet is a second ceiling, where it is known") {
  Measurement run = one_group();
  CHECK(std::isnan(value_of(figures(run), -1, Phase::whole, "sheet_flop_use")));
  run.group[0].ceiling = {};
  run.group[0].ceiling.sheet_flop_per_second = 20000;
  run.group[0].ceiling.sheet_bytes_per_second = 80000;
  const auto of_sheet = figures(run);
  const auto measured = figures(one_group());  // 2000 and 4000
  CHECK(std::isnan(value_of(of_sheet, -1, Phase::whole, "flop_use")));
  for (const Phase phase : {Phase::whole, Phase::steady}) {
    CHECK(value_of(of_sheet, -1, phase, "sheet_flop_use") == Approx(value_of(measured, -1, phase, "flop_use") / 10));
    CHECK(value_of(of_sheet, 0, phase, "sheet_bandwidth_use") == Approx(value_of(measured, 0, phase, "bandwidth_use") / 20));
  }
  CHECK(data_sheet("NVIDIA H200").bytes_per_second == 4.8e12);
  CHECK(data_sheet("NVIDIA A10").flop_per_second == 125e12);
  CHECK(data_sheet("NVIDIA A10G").flop_per_second == 0);  // another device: not known
}
