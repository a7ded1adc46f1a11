#include <cmath>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/noise.h"
#include "comm/comm.h"
#include "support/catch.h"

using namespace assize;

namespace {

/// Runs `body(comm)` on one thread a rank.
template <class Body>
void on_each_rank(int size, Body body) {
  auto comms = comm::make_in_process(size);
  std::vector<std::thread> threads;
  for (auto& comm : comms) threads.emplace_back([&] { body(*comm); });
  for (auto& thread : threads) thread.join();
}

float value_of(int rank, std::size_t i) {
  const float u = base::noise_uniform(7, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(i));
  return std::ldexp(u - 0.5f, static_cast<int>(i % 24));
}

}  // namespace

TEST_CASE("an in-process all-reduce is the fixed tree at every size, the same on every rank") {
  for (int size : {1, 2, 4}) {
    for (std::size_t count : {0u, 1u, 7u, 1000u, 100003u}) {
      std::vector<std::vector<float>> results(static_cast<std::size_t>(size));
      on_each_rank(size, [&](comm::Comm& comm) {
        for (int round = 0; round < 3; ++round) {
          std::vector<float> values(count);
          for (std::size_t i = 0; i < count; ++i) values[i] = value_of(comm.rank(), i);
          comm.all_reduce_sum(values);
          results[static_cast<std::size_t>(comm.rank())] = values;
        }
      });
      for (const auto& result : results) {
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < count; ++i) {
          float expected = value_of(0, i);
          if (size >= 2) expected = expected + value_of(1, i);
          if (size == 4) expected = expected + (value_of(2, i) + value_of(3, i));
          wrong += std::memcmp(&expected, &result[i], sizeof expected) != 0;
        }
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("in-process gather and broadcast") {
  for (int size : {1, 2, 4}) {
    std::vector<std::vector<std::byte>> gathered(static_cast<std::size_t>(size)), told(static_cast<std::size_t>(size));
    on_each_rank(size, [&](comm::Comm& comm) {
      const auto r = static_cast<std::size_t>(comm.rank());
      const std::vector<std::byte> own(3, static_cast<std::byte>(r + 1));
      gathered[r].resize(3 * static_cast<std::size_t>(size));
      comm.all_gather(own, gathered[r]);
      told[r].assign(r, std::byte{9});
      if (r == 0) told[r].assign(5, std::byte{42});
      comm.broadcast(told[r]);
    });
    for (int r = 0; r < size; ++r) {
      for (std::size_t i = 0; i < gathered[0].size(); ++i) CHECK(gathered[r][i] == static_cast<std::byte>(i / 3 + 1));
      CHECK(told[r] == std::vector<std::byte>(5, std::byte{42}));
    }
  }
}

TEST_CASE("ranks waiting for one that has left the group get an error") {
  auto comms = comm::make_in_process(2);
  std::string message;
  std::thread waiting([&] {
    std::vector<float> values(1);
    try {
      comms[0]->all_reduce_sum(values);
    } catch (const base::Error& error) {
      message = error.what();
    }
  });
  comms[1].reset();
  waiting.join();
  CHECK(message == "a rank of the worker group has left it");
}

TEST_CASE("mismatched sizes are an error on every rank") {
  std::atomic<int> errors{0};
  on_each_rank(2, [&](comm::Comm& comm) {
    std::vector<float> values(static_cast<std::size_t>(comm.rank() + 1));
    try {
      comm.all_reduce_sum(values);
    } catch (const base::Error&) {
      ++errors;
    }
  });
  CHECK(errors == 2);
}

TEST_CASE("degrees other than 1, 2 and 4 are refused") {
  CHECK_THROWS_AS(comm::make_in_process(3), base::Error);
  CHECK_THROWS_AS(comm::make_in_process(0), base::Error);
}
