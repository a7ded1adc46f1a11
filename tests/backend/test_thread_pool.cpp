#include <atomic>
#include <vector>

#include "backend/thread_pool.h"
#include "support/catch.h"

using namespace assize::backend;

TEST_CASE("thread pool: every task runs once, for many jobs of any size") {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (int tasks = 0; tasks < 300; ++tasks) {
      std::vector<std::atomic<int>> seen(static_cast<std::size_t>(tasks));
      std::atomic<bool> valid_thread{true};
      pool.run(tasks, [&](int task, int thread) {
        seen[static_cast<std::size_t>(task)].fetch_add(1);
        if (thread < 0 || thread >= threads) valid_thread = false;
      });
      for (const auto& count : seen) REQUIRE(count == 1);
      REQUIRE(valid_thread);
    }
  }
}
