#include "kernels/cpu/linear.h"
#include "kernels/sets.h"
#include "support/catch.h"
#include "support/values.h"
#include "tensor/dtype.h"

using namespace assize;
using namespace assize::kernels;

namespace {

/// Error allowed per output: each of k fused steps rounds once, 2^-24 of the sum of magnitudes.
double tolerance(double magnitude, std::int64_t k) {
  return magnitude * static_cast<double>(k + 2) * 0x1p-24;
}

struct Matrix {
  WeightType type;
  std::int64_t rows, columns;
  std::vector<std::byte> stored;
  std::vector<float> exact;

  Matrix(WeightType type, std::int64_t rows, std::int64_t columns, std::uint64_t seed)
      : type(type),
        rows(rows),
        columns(columns),
        stored(static_cast<std::size_t>(rows * columns) * weight_bytes(type)) {
    test::Values values(seed);
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      const float v = values.uniform();
      if (type == WeightType::f32) {
        reinterpret_cast<float*>(stored.data())[i] = v;
        exact.push_back(v);
      } else if (type == WeightType::f16) {
        const auto half = tensor::f32_to_f16(v);
        reinterpret_cast<std::uint16_t*>(stored.data())[i] = half;
        exact.push_back(tensor::f16_to_f32(half));
      } else {
        const auto half = tensor::f32_to_bf16(v);
        reinterpret_cast<std::uint16_t*>(stored.data())[i] = half;
        exact.push_back(tensor::bf16_to_f32(half));
      }
    }
  }
};

/// y [rows, n] of the kernel.
std::vector<float> run(InstructionSet set, const Matrix& w, const Segments& segments,
                       const std::vector<float>& x, int rows, const float* bias) {
  const std::int64_t k = segments.total();
  const int panel_count = static_cast<int>((w.rows + 15) / 16);
  const std::size_t stride = panel_bytes(w.type, segments);
  std::vector<std::byte> memory(stride * static_cast<std::size_t>(panel_count) + 64);
  auto* panels = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
  for (int p = 0; p < panel_count; ++p)
    pack_panel(w.type, w.stored.data() + static_cast<std::size_t>(p * 16 * w.columns) * weight_bytes(w.type),
               static_cast<std::size_t>(w.columns),
               static_cast<int>(std::min<std::int64_t>(16, w.rows - p * 16)), segments,
               panels + static_cast<std::size_t>(p) * stride);
  const float kUnwritten = 12345.0f;
  std::vector<float> y(static_cast<std::size_t>(rows) * static_cast<std::size_t>(w.rows + 3), kUnwritten);
  std::vector<RowTile> tiles;
  std::vector<std::vector<float>> packed;
  for (int first = 0; first < rows;) {
    RowTile tile;
    tile.rows = next_tile_rows(set, rows - first, &tile.padded_rows);
    REQUIRE(tile.rows >= 1);
    REQUIRE(tile.padded_rows >= tile.rows);
    REQUIRE(tile.padded_rows <= kMaxTileRows);
    packed.emplace_back(static_cast<std::size_t>(tile.padded_rows * k));
    pack_rows(x.data() + first * k, static_cast<std::size_t>(k), tile.rows, tile.padded_rows, k, packed.back().data());
    tile.x = packed.back().data();
    tiles.push_back(tile);
    first += tile.rows;
  }
  std::vector<float> scratch(linear_scratch_floats(segments, rows, panel_count));
  LinearTask task;
  task.type = w.type;
  task.segments = segments;
  task.tiles = tiles.data();
  task.tile_count = static_cast<int>(tiles.size());
  task.panels = panels;
  task.panel_stride_bytes = stride;
  task.panel_count = panel_count;
  task.columns = static_cast<int>(w.rows);
  task.bias = bias;
  task.y = y.data();
  task.y_stride = static_cast<std::size_t>(w.rows + 3);
  task.scratch = scratch.data();
  linear(set, task);
  std::vector<float> compact;
  for (int r = 0; r < rows; ++r) {
    const auto* row = y.data() + r * (w.rows + 3);
    compact.insert(compact.end(), row, row + w.rows);
    for (int c = 0; c < 3; ++c) REQUIRE(row[w.rows + c] == kUnwritten);
  }
  return compact;
}

Segments cut(std::int64_t k, int count) {
  Segments segments;
  segments.count = count;
  for (int s = 0; s < count; ++s)
    segments.length[s] = static_cast<std::int32_t>(k * (s + 1) / count - k * s / count);
  return segments;
}

}  // namespace

TEST_CASE("linear: every element against a double reference; the same bits on every instruction set") {
  const auto type = GENERATE(WeightType::f32, WeightType::f16, WeightType::bf16);
  const int count = GENERATE(1, 2, 4);
  for (const auto& [n, k] : {std::pair{1, 5}, {16, 64}, {17, 7}, {131, 97}, {160, 31}, {35, 1100}}) {
    const Matrix w(type, n, k, static_cast<std::uint64_t>(n * 1000 + k));
    test::Values values(3);
    for (const int rows : {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 20, 25, 52}) {
      const auto x = values.uniform(static_cast<std::size_t>(rows * k));
      const auto bias = values.uniform(static_cast<std::size_t>(n));
      const auto segments = cut(k, count);
      std::vector<std::vector<float>> all;
      for (const auto set : test::instruction_sets())
        all.push_back(run(set, w, segments, x, rows, bias.data()));
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < n; ++c) {
          double sum = bias[static_cast<std::size_t>(c)], magnitude = std::abs(sum);
          for (int i = 0; i < k; ++i) {
            const double product = static_cast<double>(x[static_cast<std::size_t>(r * k + i)]) *
                                   w.exact[static_cast<std::size_t>(c * k + i)];
            sum += product;
            magnitude += std::abs(product);
          }
          const double got = all[0][static_cast<std::size_t>(r * n + c)];
          if (!(std::abs(got - sum) <= tolerance(magnitude, k)))
            FAIL("row " << r << " column " << c << " of " << rows << "x" << n << "x" << k << ": " << got
                        << " for " << sum);
        }
      if (all.size() == 2) REQUIRE(test::same_bits(all[0], all[1]));
    }
  }
}

TEST_CASE(
    "linear: the order of the sum is fixed: one accumulator over k, quarters (0 + 1) + (2 + 3), then bias") {
  // Several blocks of k in each quarter, too; one row and more than a tile of them.
  const auto k = GENERATE(37, 5603), rows = GENERATE(1, 9, 40);
  const int n = 21;
  const Matrix w(WeightType::bf16, n, k, 9);
  test::Values values(4);
  const auto one = values.uniform(static_cast<std::size_t>(k)), bias = values.uniform(n);
  std::vector<float> x;
  for (int r = 0; r < rows; ++r) x.insert(x.end(), one.begin(), one.end());
  for (const int count : {1, 2, 4}) {
    const auto segments = cut(k, count);
    std::vector<float> expected_row, expected;
    for (int c = 0; c < n; ++c) {
      float sums[4] = {};
      int i = 0;
      for (int s = 0; s < count; ++s)
        for (int end = i + segments.length[s]; i < end; ++i)
          sums[s] =
              std::fma(one[static_cast<std::size_t>(i)], w.exact[static_cast<std::size_t>(c * k + i)], sums[s]);
      const float sum = count == 1   ? sums[0]
                        : count == 2 ? sums[0] + sums[1]
                                     : (sums[0] + sums[1]) + (sums[2] + sums[3]);
      expected_row.push_back(sum + bias[static_cast<std::size_t>(c)]);
    }
    for (int r = 0; r < rows; ++r) expected.insert(expected.end(), expected_row.begin(), expected_row.end());
    for (const auto set : test::instruction_sets())
      CHECK(test::same_bits(run(set, w, segments, x, rows, bias.data()), expected));
  }
}

TEST_CASE("linear: the bits of a row do not depend on the rows beside it") {
  const int n = 83, most = 60;
  const auto type = GENERATE(WeightType::f32, WeightType::f16, WeightType::bf16);
  for (const auto& [k, count] : {std::pair{101, 4}, {701, 1}, {1403, 2}}) {
    const Matrix w(type, n, k, 11);
    const auto x = test::Values(12).uniform(static_cast<std::size_t>(most * k));
    for (const auto set : test::instruction_sets()) {
      const auto all = run(set, w, cut(k, count), x, most, nullptr);
      for (int rows = 1; rows < most; ++rows) {
        const auto some = run(set, w, cut(k, count), x, rows, nullptr);
        REQUIRE(test::same_bits(some, {all.begin(), all.begin() + rows * n}));
      }
    }
  }
}
