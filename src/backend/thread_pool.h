#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace assize::backend {

/// Threads that share the tasks of one operation. A thread that runs out of work spins for some microseconds
/// (the next operation of the step comes soon), then sleeps. `run` allocates nothing.
class ThreadPool {
 public:
  /// `threads` >= 1, the caller's included.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls body(task, thread) for each task in [0, tasks), tasks < 2^20; returns when all are done. Tasks are
  /// taken in order by whoever is free, so a result must not depend on the thread. Body must not throw.
  template <class Body>
  void run(int tasks, const Body& body) {
    if (tasks <= 1 || workers_.empty()) {
      for (int task = 0; task < tasks; ++task) body(task, 0);
      return;
    }
    run_erased(
        tasks,
        [](const void* context, int task, int thread) { (*static_cast<const Body*>(context))(task, thread); },
        &body);
  }

 private:
  using Call = void (*)(const void* context, int task, int thread);
  void run_erased(int tasks, Call call, const void* context);
  void work(int thread);
  bool take_tasks(int thread);

  // One word says which job is open and how far its tasks are taken, so that a late thread can never take a
  // task of a job that has ended: generation (24 bits) | tasks (20) | next task (20).
  std::atomic<std::uint64_t> ticket_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> context_{nullptr};
  std::atomic<int> done_{0};
  std::atomic<std::uint32_t> epoch_{0};  ///< what sleeping threads wait for
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

/// Cores this process may run on.
int usable_cores();

}  // namespace assize::backend
