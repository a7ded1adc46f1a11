#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "backend/backend.h"

namespace assize::bench {

/// A backend of its own group of one; 0 threads = all cores.
struct Bench {
  std::unique_ptr<comm::Comm> alone = comm::make_alone();
  std::unique_ptr<backend::Backend> backend;
  explicit Bench(int threads) : backend(backend::make_cpu_backend(*alone, {threads, ""})) {}
};

/// Pseudo-random bf16 matrix with its memory.
struct Matrix {
  std::vector<std::uint16_t> memory;
  tensor::TensorView view;
  Matrix(std::int64_t rows, std::int64_t columns) : memory(static_cast<std::size_t>(rows * columns)) {
    std::uint32_t state = 1;
    for (auto& value : memory) {
      state = state * 1664525u + 1013904223u;
      value = static_cast<std::uint16_t>(0x3C00u | (state >> 31 << 15) | (state >> 16 & 0x3FFu));
    }
    view = {tensor::DType::bf16,
            {rows, columns},
            reinterpret_cast<const std::byte*>(memory.data()),
            memory.size() * 2,
            "bench"};
  }
};

}  // namespace assize::bench
