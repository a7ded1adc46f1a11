#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

// The inputs of tests/golden/metrics.json, by the formulas of tools/golden/metrics.py.
namespace golden {

inline std::uint64_t bits(std::uint64_t number, std::uint64_t column, std::uint64_t item) {
  std::uint64_t z = ((number << 40) | (column << 32) | item) + 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

inline double uniform(std::uint64_t number, std::uint64_t column, std::uint64_t item) {
  return static_cast<double>(bits(number, column, item) >> 11) * 0x1p-53;
}

inline std::size_t size_of(std::size_t number) {
  constexpr std::size_t kSizes[] = {1, 2, 3, 5, 8, 13, 30, 100, 250};
  return kSizes[number % 9];
}

struct Numbers {
  std::vector<double> x, y;
};

inline Numbers numbers(std::size_t number) {
  const std::size_t kind = number / 9 % 7;
  Numbers out;
  for (std::size_t i = 0; i < size_of(number); ++i) {
    const double u = uniform(number, 0, i), v = uniform(number, 1, i);
    const double x[] = {u, std::floor(5 * u), 2.0, u, std::floor(5 * u), 1e6 + u, i ? 0.0 : 1.0};
    const double y[] = {v, std::floor(5 * v), v, u + 0.25 * v, std::floor(3 * (u + v)), 1e6 - u + v, v};
    out.x.push_back(x[kind]);
    out.y.push_back(y[kind]);
  }
  return out;
}

struct Labels {
  std::size_t classes = 0;
  std::vector<int> truth, predicted;
};

inline Labels labels(std::size_t number) {
  const std::size_t kind = number / 9 % 5;
  Labels out;
  out.classes = 2 + number % 4;
  for (std::size_t i = 0; i < size_of(number); ++i) {
    int t = static_cast<int>(bits(number, 2, i) % out.classes),
        p = static_cast<int>(bits(number, 3, i) % out.classes);
    if (kind == 1 && bits(number, 4, i) % 4) p = t;
    if (kind == 2) p = 1;
    if (kind == 3) t = p = 0;
    if (kind == 4) {
      t = std::min(t, 2);
      p = std::min(p, 2);
    }
    out.truth.push_back(t);
    out.predicted.push_back(p);
  }
  return out;
}

struct Ratings {
  std::size_t classes = 0;
  std::vector<double> cells;
};

inline Ratings ratings(std::size_t number, bool missing) {
  const std::size_t kind = number / 9 % 4, raters = 2 + number / 4 % 4;
  Ratings out;
  out.classes = 2 + number % 4;
  for (std::size_t i = 0; i < size_of(number); ++i) {
    std::vector<double> row(out.classes);
    for (std::size_t r = 0; r < raters; ++r) {
      std::size_t c = bits(number, 10 + r, i) % out.classes;
      if (kind == 1 && bits(number, 20 + r, i) % 3) c = bits(number, 10, i) % out.classes;
      if (kind == 2) c = 1;
      if (missing && bits(number, 30 + r, i) % 4 == 0) continue;
      row[c] += 1;
    }
    out.cells.insert(out.cells.end(), row.begin(), row.end());
  }
  return out;
}

inline std::string word(std::size_t number, std::uint64_t column) {
  std::string out;
  for (std::uint64_t i = 0; i < bits(number, column, 99) % 8; ++i) out += "ABCD"[bits(number, column, i) % 4];
  return out;
}

// How often each of 2 to 5 systems won against each other: systems x systems.
struct Wins {
  std::size_t systems = 0;
  std::vector<double> cells;
};

inline Wins wins(std::size_t number) {
  Wins out;
  out.systems = 2 + number % 4;
  for (std::size_t i = 0; i < out.systems; ++i) {
    for (std::size_t j = 0; j < out.systems; ++j)
      out.cells.push_back(i == j ? 0 : static_cast<double>(bits(number, 86, 8 * i + j) % (number % 3 ? 12 : 3)) / 2);
  }
  return out;
}

// People's numbers and two judges' on a few items.
struct Judges {
  std::vector<double> truth, first, second;
};

inline Judges judges(std::size_t number) {
  const double scale = number % 2 ? 4 : 1000;
  Judges out;
  for (std::size_t i = 0; i < 2 + number % 7; ++i) {
    out.truth.push_back(std::floor(scale * uniform(number, 80, i)) / scale);
    out.first.push_back(std::floor(scale * uniform(number, 81, i)) / scale);
    out.second.push_back(std::floor(scale * uniform(number, 82, i)) / scale);
  }
  return out;
}

}  // namespace golden
