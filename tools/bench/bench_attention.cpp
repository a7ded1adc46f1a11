// Attention of SmolLM2-135M, Qwen2.5-0.5B and Qwen2.5-7B shapes: a prefill chunk, votes that share a prompt
// with and without grouping, and sequences that share nothing.
#include <algorithm>

#include "bench_backend.h"

namespace {

using namespace assize;
using namespace assize::backend;

enum class Company { prefill, grouped_votes, votes, strangers };

constexpr std::int32_t kPrompt = 1024, kVotes = 16;

void attention(benchmark::State& state, Company company) {
  const auto heads = static_cast<std::int32_t>(state.range(0)),
             kv_heads = static_cast<std::int32_t>(state.range(1)),
             dim = static_cast<std::int32_t>(state.range(2));
  bench::Bench bench(static_cast<int>(state.range(3)));
  auto& b = *bench.backend;
  const std::int32_t prompt_blocks = kPrompt / kBlockTokens;
  const std::int32_t blocks = company == Company::strangers ? kVotes * prompt_blocks : prompt_blocks + kVotes;
  // Sequences that share nothing read their keys and values from memory: the layers rotate over at least 256 MiB.
  const std::int64_t layer_bytes = std::int64_t{blocks} * kBlockTokens * kv_heads * dim * 2 * 4;
  const auto layers = static_cast<std::int32_t>(company == Company::strangers ? (std::int64_t{256} << 20) / layer_bytes + 1 : 1);
  const auto cache = b.make_kv_cache(blocks, layers, kv_heads, dim);
  const std::int32_t width = (heads + 2 * kv_heads) * dim, rows = 512;
  const auto qkv = b.allocate(rows, width), out = b.allocate(rows, heads * dim);
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(width));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i * 7919 % 1000) / 500.0f - 1.0f;
  b.upload(values, qkv);
  Rope rope;
  rope.inv_freq.assign(static_cast<std::size_t>(dim / 2), 0.01f);
  rope.component.assign(static_cast<std::size_t>(dim / 2), 0);
  const std::vector<std::int32_t> positions(3 * rows, 5);
  std::vector<std::int32_t> slots(rows);
  for (std::int32_t layer = 0; layer < layers; ++layer)
    for (std::int32_t slot = 0; slot < blocks * kBlockTokens; slot += rows) {
      for (std::int32_t r = 0; r < rows; ++r)
        slots[static_cast<std::size_t>(r)] = std::min(slot + r, blocks * kBlockTokens - 1);
      b.rope_and_store(qkv, rows, heads, kv_heads, dim, rope, positions, slots, *cache, layer);
    }

  AttentionPlan plan;
  double scores = 0;  // query tokens x keys
  if (company == Company::prefill) {
    plan.sequences = {{0, rows, kPrompt - rows, 0}};
    for (std::int32_t i = 0; i < prompt_blocks; ++i) plan.blocks.push_back(i);
    scores = rows * (kPrompt - rows / 2.0);
  } else {
    const bool share = company != Company::strangers;
    for (std::int32_t v = 0; v < kVotes; ++v) {
      plan.sequences.push_back({v, 1, kPrompt - 1, static_cast<std::int32_t>(plan.blocks.size())});
      for (std::int32_t i = 0; i < prompt_blocks; ++i)
        plan.blocks.push_back(!share ? v * prompt_blocks + i : i + 1 < prompt_blocks ? i : prompt_blocks + v);
    }
    if (company == Company::grouped_votes) plan.shared = {{0, kVotes, kPrompt - kBlockTokens}};
    scores = kVotes * double{kPrompt};
  }
  std::int32_t layer = 0;
  for (auto _ : state) {
    b.attention(qkv, heads, kv_heads, dim, plan, *cache, layer, out);
    layer = (layer + 1) % layers;
  }
  state.counters["flops"] =
      benchmark::Counter(4.0 * heads * dim * scores, benchmark::Counter::kIsIterationInvariantRate);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"heads", "kv_heads", "dim", "threads"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const int threads : {1, 2}) {
    bench->Args({9, 3, 64, threads});
    bench->Args({14, 2, 64, threads});
    bench->Args({28, 4, 128, threads});
  }
}

BENCHMARK_CAPTURE(attention, prefill_512_at_512, Company::prefill)->Apply(shapes);
BENCHMARK_CAPTURE(attention, votes_16_grouped, Company::grouped_votes)->Apply(shapes);
BENCHMARK_CAPTURE(attention, votes_16_apart, Company::votes)->Apply(shapes);
BENCHMARK_CAPTURE(attention, strangers_16, Company::strangers)->Apply(shapes);

void vision(benchmark::State& state) {
  constexpr std::int32_t kHeads = 16, kDim = 80, kPatches = 1024;
  const auto segment = static_cast<std::int32_t>(state.range(0));
  bench::Bench bench(static_cast<int>(state.range(1)));
  auto& b = *bench.backend;
  const auto qkv = b.allocate(kPatches, 3 * kHeads * kDim), out = b.allocate(kPatches, kHeads * kDim);
  const std::vector<float> angles(kPatches * kDim / 2, 0.1f);
  std::vector<std::int32_t> ends;
  for (std::int32_t end = segment; end <= kPatches; end += segment) ends.push_back(end);
  for (auto _ : state) b.vision_attention(qkv, kPatches, kHeads, kDim, angles, ends, out);
  state.counters["flops"] = benchmark::Counter(4.0 * kHeads * kDim * kPatches * segment,
                                               benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(vision)
    ->ArgNames({"segment", "threads"})
    ->ArgsProduct({{64, 1024}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
