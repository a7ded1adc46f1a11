// The choice of tokens for 8 rows, over a narrow head, so that the product hides little of it.
#include "bench_backend.h"

namespace {

using namespace assize;
using namespace assize::backend;

enum class Way { greedy, warm, top_p, top_k, logprobs };

void sample(benchmark::State& state, Way way) {
  constexpr std::int32_t kRows = 8, kHidden = 64;
  const auto vocab = static_cast<std::int32_t>(state.range(0));
  bench::Bench bench(static_cast<int>(state.range(1)));
  auto& b = *bench.backend;
  const bench::Matrix matrix(vocab, kHidden);
  const auto head = b.pack_head(matrix.view);
  const auto hidden = b.allocate(kRows, kHidden);
  std::vector<float> values(kRows * kHidden);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i * 7919 % 1000) / 40.0f - 12.0f;
  b.upload(values, hidden);
  std::vector<SampleRow> rows(kRows);
  for (std::int32_t r = 0; r < kRows; ++r) {
    SampleRow& row = rows[static_cast<std::size_t>(r)];
    row.row = r;
    row.noise_stream = static_cast<std::uint64_t>(r);
    row.temperature = way == Way::warm ? 1.0f : way == Way::top_p || way == Way::top_k ? 0.7f : 0.0f;
    row.top_p = way == Way::top_p || way == Way::top_k ? 0.95f : 1.0f;
    row.top_k = way == Way::top_k ? 50 : 0;
    row.top_logprobs = way == Way::logprobs ? 20 : 0;
  }
  std::vector<SampleResult> results(kRows);
  for (auto _ : state) {
    for (auto& row : rows) ++row.position;
    b.sample(*head, hidden, rows, results);
  }
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"vocab", "threads"})
      ->ArgsProduct({{49152, 151936}, {1, 2}})
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(sample, greedy, Way::greedy)->Apply(sizes);
BENCHMARK_CAPTURE(sample, temperature_1, Way::warm)->Apply(sizes);
BENCHMARK_CAPTURE(sample, top_p_95, Way::top_p)->Apply(sizes);
BENCHMARK_CAPTURE(sample, top_k_50_top_p_95, Way::top_k)->Apply(sizes);
BENCHMARK_CAPTURE(sample, logprobs_20, Way::logprobs)->Apply(sizes);

}  // namespace
