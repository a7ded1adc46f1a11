// Linear layers of SmolLM2-135M and Qwen2.5-0.5B at batch sizes from one row to a prefill chunk. The weights
// rotate over at least 256 MiB, so that a small batch reads them from memory. linear_swiglu: gate and up of an MLP.
#include "bench_backend.h"

namespace {

using namespace assize;

constexpr std::size_t kRotation = std::size_t{256} << 20;

void product(benchmark::State& state, bool is_gated) {
  const auto rows = static_cast<std::int32_t>(state.range(0)), n = static_cast<std::int32_t>(state.range(1)),
             k = static_cast<std::int32_t>(state.range(2));
  bench::Bench bench(static_cast<int>(state.range(3)));
  auto& b = *bench.backend;
  const bench::Matrix matrix(n, k);
  const backend::LinearPart part{&matrix.view, nullptr, 0, n}, gate{&matrix.view, nullptr, 0, n / 2},
      up{&matrix.view, nullptr, n / 2, n};
  std::vector<std::unique_ptr<backend::Linear>> weights;
  for (std::size_t bytes = 0; bytes < kRotation; bytes += weights.back()->bytes)
    weights.push_back(is_gated ? b.pack_gated(gate, up) : b.pack_columns({&part, 1}));
  const auto x = b.allocate(rows, k), y = b.allocate(rows, n), joined = b.allocate(rows, n / 2);
  b.upload(std::vector<float>(static_cast<std::size_t>(rows) * static_cast<std::size_t>(k), 0.5f), x);
  std::size_t next = 0;
  for (auto _ : state) {
    if (is_gated)
      b.linear_swiglu(*weights[next], x, rows, y, joined);
    else
      b.linear(*weights[next], x, rows, y);
    next = (next + 1) % weights.size();
  }
  const double products = static_cast<double>(rows) * n * k;
  using benchmark::Counter;
  state.counters["flops"] = Counter(2 * products, Counter::kIsIterationInvariantRate);
  state.counters["weight_bytes"] =
      Counter(static_cast<double>(weights[0]->bytes), Counter::kIsIterationInvariantRate);
}

using Shape = std::pair<int, int>;  ///< outputs, inputs

void shapes(benchmark::internal::Benchmark* bench, std::initializer_list<Shape> all) {
  bench->ArgNames({"rows", "out", "in", "threads"})->UseRealTime()->Unit(benchmark::kMicrosecond);
  for (const int threads : {1, 2})
    for (const auto& [n, k] : all)
      for (const int rows : {1, 4, 8, 16, 32, 64, 256, 512}) bench->Args({rows, n, k, threads});
}

const int registered = [] {
  shapes(benchmark::RegisterBenchmark("linear", product, false),
         {{960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {49152, 576}, {1152, 896}, {9728, 896}, {896, 4864}});
  shapes(benchmark::RegisterBenchmark("linear_swiglu", product, true), {{3072, 576}, {9728, 896}});
  return 0;
}();

}  // namespace
