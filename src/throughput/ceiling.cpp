#include "throughput/ceiling.h"

#include <algorithm>
#include <barrier>
#include <thread>
#include <vector>

#include "backend/buffer.h"
#include "base/clock.h"
#include "kernels/cpu/limits.h"

namespace assize::throughput {

namespace {

constexpr int kRepeats = 7;
constexpr double kFmaSeconds = 0.04;  ///< at least, of one repeat
constexpr std::size_t kReadBytes = std::size_t{128} << 20;

struct Timing {
  double seconds = 0;  ///< of the shortest repeat
  double spread = 0;   ///< longest / shortest - 1
};

/// Seconds in which every thread ends `body(thread)` once, all starting together. This thread is one of them: a further one
/// that only waits would be in their way.
template <class Body>
Timing time_repeats(int threads, const Body& body) {
  std::barrier gate(threads);
  std::vector<std::thread> workers;
  for (int thread = 1; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      for (int repeat = 0; repeat < kRepeats; ++repeat) {
        gate.arrive_and_wait();
        body(thread);
        gate.arrive_and_wait();
      }
    });
  }
  std::vector<double> seconds;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    gate.arrive_and_wait();
    const double begin = base::monotonic_seconds();
    body(0);
    gate.arrive_and_wait();
    seconds.push_back(base::monotonic_seconds() - begin);
  }
  for (std::thread& worker : workers) worker.join();
  const auto [shortest, longest] = std::minmax_element(seconds.begin(), seconds.end());
  return {*shortest, *longest / *shortest - 1};
}

/// As many rounds of multiply-adds as take kFmaSeconds on this thread, so that the probe is as short on a slow machine or under an
/// instruction counter.
std::int64_t fma_rounds(kernels::InstructionSet set, float& sink) {
  for (std::int64_t rounds = 1000;; rounds *= 2) {
    const double begin = base::monotonic_seconds();
    sink += kernels::run_fma(set, rounds);
    if (base::monotonic_seconds() - begin >= kFmaSeconds) return rounds;
  }
}

}  // namespace

cluster::Ceiling measure_ceiling(int threads, const std::string& instruction_set) {
  using kernels::InstructionSet;
  const bool wide = instruction_set.empty() ? kernels::cpu_has(InstructionSet::avx512) : instruction_set == "avx512";
  const InstructionSet set = wide ? InstructionSet::avx512 : InstructionSet::avx2;
  const auto count = static_cast<std::size_t>(threads);
  std::vector<backend::Buffer> memory;
  for (std::size_t i = 0; i < count; ++i) memory.emplace_back(kReadBytes);
  // What is computed only keeps the compiler from dropping the work.
  std::vector<float> sinks(count * 16);
  // Written once, so that every page is memory of its own, by the thread that reads it.
  time_repeats(threads, [&](int thread) {
    backend::Buffer& own = memory[static_cast<std::size_t>(thread)];
    if (own.data()[0] != std::byte{1}) std::fill_n(own.data(), own.bytes(), std::byte{1});
  });

  cluster::Ceiling ceiling;
  ceiling.threads = threads;
  const std::int64_t rounds = fma_rounds(set, sinks[0]);
  const Timing fma = time_repeats(threads, [&](int thread) {
    sinks[static_cast<std::size_t>(thread) * 16] += kernels::run_fma(set, rounds);
  });
  ceiling.flop_per_second = static_cast<double>(kernels::fma_operations(set, rounds)) * threads / fma.seconds;
  ceiling.flop_spread = fma.spread;
  const Timing read = time_repeats(threads, [&](int thread) {
    sinks[static_cast<std::size_t>(thread) * 16] +=
        kernels::run_read(set, memory[static_cast<std::size_t>(thread)].floats(), kReadBytes / sizeof(float));
  });
  ceiling.bytes_per_second = static_cast<double>(kReadBytes) * threads / read.seconds;
  ceiling.bytes_spread = read.spread;
  return ceiling;
}

}  // namespace assize::throughput
