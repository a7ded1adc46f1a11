#include "backend/thread_pool.h"

#include <immintrin.h>
#include <sched.h>

#include <algorithm>

namespace assize::backend {

namespace {

constexpr int kTaskBits = 20;
constexpr std::uint64_t kTaskMask = (std::uint64_t{1} << kTaskBits) - 1;
/// Rounds of `pause` (40 to 140 cycles) before a thread sleeps or yields.
constexpr int kSpins = 1000;

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (auto& worker : workers_) worker.join();
}

bool ThreadPool::take_tasks(int thread) {
  bool worked = false;
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  while ((ticket & kTaskMask) < ((ticket >> kTaskBits) & kTaskMask)) {
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) continue;
    call_.load(std::memory_order_relaxed)(context_.load(std::memory_order_relaxed),
                                          static_cast<int>(ticket & kTaskMask), thread);
    done_.fetch_add(1, std::memory_order_release);
    worked = true;
    ticket = ticket_.load(std::memory_order_acquire);
  }
  return worked;
}

void ThreadPool::run_erased(int tasks, Call call, const void* context) {
  call_.store(call, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  const std::uint64_t generation = (ticket_.load(std::memory_order_relaxed) >> (2 * kTaskBits)) + 1;
  ticket_.store(generation << (2 * kTaskBits) | static_cast<std::uint64_t>(tasks) << kTaskBits,
                std::memory_order_seq_cst);
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  epoch_.notify_all();
  take_tasks(0);
  for (int spin = 0; done_.load(std::memory_order_acquire) != tasks; ++spin)
    spin < kSpins ? _mm_pause() : static_cast<void>(sched_yield());
}

void ThreadPool::work(int thread) {
  int spin = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    const std::uint32_t epoch = epoch_.load(std::memory_order_seq_cst);
    if (take_tasks(thread)) {
      spin = 0;
    } else if (++spin < kSpins) {
      _mm_pause();
    } else {
      // A job opened after `epoch` was read has changed it, so that this wait returns at once.
      epoch_.wait(epoch);
      spin = 0;
    }
  }
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace assize::backend
