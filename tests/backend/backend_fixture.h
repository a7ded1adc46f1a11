#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "backend/split.h"
#include "support/catch.h"
#include "support/values.h"

namespace assize::test {

/// A stored tensor with its own memory.
struct Stored {
  std::vector<std::byte> memory;
  tensor::TensorView view;

  Stored(std::vector<std::int64_t> shape, const std::vector<float>& values,
         tensor::DType dtype = tensor::DType::f32, std::string name = "test.weight") {
    memory.resize(values.size() * tensor::size_bytes(dtype));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (dtype == tensor::DType::f32) {
        reinterpret_cast<float*>(memory.data())[i] = values[i];
      } else {
        reinterpret_cast<std::uint16_t*>(memory.data())[i] =
            dtype == tensor::DType::bf16 ? tensor::f32_to_bf16(values[i]) : tensor::f32_to_f16(values[i]);
      }
    }
    view = {dtype, std::move(shape), memory.data(), memory.size(), std::move(name)};
  }
};

inline backend::Activation upload(backend::Backend& backend, const std::vector<float>& values,
                                  std::int32_t cols) {
  auto x = backend.allocate(static_cast<std::int64_t>(values.size()) / cols, cols);
  backend.upload(values, x);
  return x;
}

inline std::vector<float> download(backend::Backend& backend, backend::Activation x, std::size_t rows) {
  std::vector<float> values(rows * static_cast<std::size_t>(x.cols));
  backend.download(x, values);
  return values;
}

/// f on each rank of a group of `ranks` threads; returns rank 0's result after checking that all are equal.
template <class Result>
Result on_group(int ranks, const backend::CpuSettings& settings,
                const std::function<Result(backend::Backend&)>& f) {
  auto comms = comm::make_in_process(ranks);
  std::vector<Result> results(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      const auto backend = backend::make_cpu_backend(*comms[static_cast<std::size_t>(rank)], settings);
      results[static_cast<std::size_t>(rank)] = f(*backend);
    });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) REQUIRE(result == results[0]);
  return results[0];
}

/// The settings under which every result must have the same bits, as far as this CPU has them.
struct Variant {
  int ranks;
  backend::CpuSettings settings;
};

inline std::vector<Variant> variants() {
  std::vector<Variant> all{{1, {1, "avx2"}}, {1, {1, ""}}, {1, {3, ""}},    {1, {2, "avx2"}},
                           {2, {1, ""}},     {4, {1, ""}}, {4, {2, "avx2"}}};
  return all;
}

/// f under every variant; all results are equal; returns the first.
template <class Result>
Result same_everywhere(const std::function<Result(backend::Backend&)>& f) {
  Result first{};
  bool any = false;
  for (const auto& variant : variants()) {
    const Result result = on_group<Result>(variant.ranks, variant.settings, f);
    if (!any) first = result;
    any = true;
    INFO(variant.ranks << " ranks, " << variant.settings.threads << " threads, "
                       << variant.settings.instruction_set);
    REQUIRE(result == first);
  }
  return first;
}

}  // namespace assize::test
