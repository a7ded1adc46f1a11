// What this machine can do: sustained FMA rate in registers and read rate from memory, on all threads named.
// With other work on the machine these move: run them in one go with what they are compared with.
#include <atomic>
#include <thread>

#include "backend/buffer.h"
#include "bench_backend.h"
#include "kernels/cpu/limits.h"

namespace {

using namespace assize;

kernels::InstructionSet best_set() {
  return kernels::cpu_has(kernels::InstructionSet::avx512) ? kernels::InstructionSet::avx512
                                                           : kernels::InstructionSet::avx2;
}

void fma_rate(benchmark::State& state) {
  const auto set = state.range(0) == 512 ? kernels::InstructionSet::avx512 : kernels::InstructionSet::avx2;
  if (!kernels::cpu_has(set)) return state.SkipWithError("this CPU lacks the instruction set");
  constexpr std::int64_t kRounds = 1000000;
  for (auto _ : state) benchmark::DoNotOptimize(kernels::run_fma(set, kRounds));
  state.counters["flops"] = benchmark::Counter(static_cast<double>(kernels::fma_operations(set, kRounds)),
                                               benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(fma_rate)->ArgName("bits")->Arg(256)->Arg(512)->ThreadRange(1, 2)->UseRealTime()->Unit(
    benchmark::kMillisecond);

/// Every thread reads memory of its own.
void read_rate(benchmark::State& state) {
  const std::size_t bytes = static_cast<std::size_t>(state.range(0)) << 20;
  backend::Buffer memory(bytes);
  for (std::size_t i = 0; i < bytes; i += 4096) memory.data()[i] = std::byte{1};
  for (auto _ : state) benchmark::DoNotOptimize(kernels::run_read(best_set(), memory.floats(), bytes / 4));
  state.counters["bytes"] =
      benchmark::Counter(static_cast<double>(bytes), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(read_rate)->ArgName("MiB")->Arg(1)->Arg(256)->Arg(1024)->ThreadRange(1, 2)->UseRealTime()->Unit(
    benchmark::kMillisecond);

}  // namespace
