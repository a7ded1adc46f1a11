#include <cmath>

#include "kernels/cuda/elementwise.h"
#include "support/values.h"
#include "tests/cuda_emulation/device_array.h"

using namespace assize;
using namespace assize::kernels::cuda;
using assize::test::bf16s;
using assize::test::DeviceArray;
using assize::test::number;

namespace {

constexpr float kEpsilon = 1e-5f;
/// Rounding of the result and, well below it, f32 arithmetic.
constexpr double kRelative = test::kBf16Rounding;

/// Fails at the first element that is further from its reference than relative * |reference| + absolute.
void check_close(const std::vector<Bf16>& got, const std::vector<double>& expected, double relative,
                 double absolute = 1e-6) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(number(got[i]) - expected[i]) <= relative * std::abs(expected[i]) + absolute))
      FAIL("element " << i << ": " << number(got[i]) << " for " << expected[i]);
}

struct Size {
  int rows, cols;
};
const Size kSizes[] = {{1, 8}, {5, 64}, {3, 7}, {2, 257}, {1, 1}, {4, 264}, {9, 320}};

std::vector<Bf16> row_of(const std::vector<Bf16>& x, int row, int cols) {
  return {x.begin() + row * cols, x.begin() + (row + 1) * cols};
}

}  // namespace

TEST_CASE("norms: reference, residual, and the bits of a row alone") {
  std::vector<Size> sizes(std::begin(kSizes), std::end(kSizes));
  sizes.insert(sizes.end(), {{1, 4096}, {2, 5000}, {1, 8192}, {2, 8200}, {5, 8448}});  // as wide as a block keeps, and wider
  for (const auto& [rows, cols] : sizes) {
    test::Values values(static_cast<std::uint64_t>(rows * 1000 + cols));
    const auto count = static_cast<std::size_t>(rows * cols);
    const auto x = bf16s(values.uniform(count, 3.0f)), delta = bf16s(values.uniform(count, 2.0f));
    const auto weight = values.uniform(static_cast<std::size_t>(cols), 2.0f);
    std::vector<double> plain(count), after(count), sums(count);
    for (int r = 0; r < rows; ++r) {
      double squares = 0, sum_squares = 0;
      for (int i = r * cols; i < (r + 1) * cols; ++i) {
        const auto at = static_cast<std::size_t>(i);
        sums[at] = number(test::bf16(number(x[at]) + number(delta[at])));
        squares += double(number(x[at])) * number(x[at]);
        sum_squares += sums[at] * sums[at];
      }
      for (int i = 0; i < cols; ++i) {
        const auto at = static_cast<std::size_t>(r * cols + i);
        plain[at] =
            number(x[at]) / std::sqrt(squares / cols + kEpsilon) * weight[static_cast<std::size_t>(i)];
        after[at] = sums[at] / std::sqrt(sum_squares / cols + kEpsilon) * weight[static_cast<std::size_t>(i)];
      }
    }
    test::for_schedules(false, [&, rows = rows, cols = cols] {
      DeviceArray<Bf16> in(x), residual(x), change(delta), out(count);
      DeviceArray<float> scale(weight);
      REQUIRE(rms_norm(in.data(), scale.data(), kEpsilon, rows, cols, out.data(), nullptr) == 0);
      const auto normed = out.values();
      check_close(normed, plain, kRelative);
      REQUIRE(add_rms_norm(residual.data(), change.data(), scale.data(), kEpsilon, rows, cols, out.data(),
                           nullptr) == 0);
      check_close(residual.values(), sums, 0, 0);
      check_close(out.values(), after, kRelative);
      REQUIRE(rms_norm(in.data(), scale.data(), kEpsilon, rows, cols, in.data(), nullptr) == 0);
      CHECK(in.values() == normed);
      DeviceArray<Bf16> alone(row_of(x, rows - 1, cols));
      REQUIRE(rms_norm(alone.data(), scale.data(), kEpsilon, 1, cols, alone.data(), nullptr) == 0);
      CHECK(alone.values() == row_of(normed, rows - 1, cols));
    });
  }
}

TEST_CASE("add, gelu, conversions") {
  for (const std::size_t count : {std::size_t{1}, std::size_t{8}, std::size_t{1023}, std::size_t{1032}}) {
    test::Values values(count);
    const auto raw = values.uniform(count, 6.0f);
    const auto x = bf16s(raw), delta = bf16s(values.uniform(count, 2.0f));
    std::vector<double> sums(count), gelus(count);
    std::vector<float> wide(count);
    for (std::size_t i = 0; i < count; ++i) {
      wide[i] = number(x[i]);
      sums[i] = number(test::bf16(wide[i] + number(delta[i])));
      gelus[i] = wide[i] / 2.0 * (1 + std::erf(wide[i] / std::sqrt(2.0)));
    }
    test::for_schedules(false, [&] {
      const auto n = static_cast<std::int64_t>(count);
      DeviceArray<Bf16> residual(x), change(delta), activation(x), narrow(count);
      DeviceArray<float> source(raw), back(count);
      REQUIRE(add(residual.data(), change.data(), n, nullptr) == 0);
      check_close(residual.values(), sums, 0, 0);
      REQUIRE(gelu(activation.data(), n, nullptr) == 0);
      check_close(activation.values(), gelus, kRelative);
      REQUIRE(to_bf16(source.data(), n, narrow.data(), nullptr) == 0);
      CHECK(narrow.values() == x);
      REQUIRE(to_f32(narrow.data(), n, back.data(), nullptr) == 0);
      CHECK(back.values() == wide);
    });
  }
}

TEST_CASE("swiglu: reference over the range of the gate, and the bits of a row alone") {
  for (const auto& [rows, cols] : kSizes) {
    test::Values values(static_cast<std::uint64_t>(rows * 77 + cols));
    const auto x = bf16s(values.uniform(static_cast<std::size_t>(2 * rows * cols), 30.0f));
    std::vector<double> expected;
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < cols; ++i) {
        const double gate = number(x[static_cast<std::size_t>(r * 2 * cols + i)]);
        expected.push_back(gate / (1 + std::exp(-gate)) *
                           number(x[static_cast<std::size_t>(r * 2 * cols + cols + i)]));
      }
    test::for_schedules(false, [&, rows = rows, cols = cols] {
      DeviceArray<Bf16> in(x), out(static_cast<std::size_t>(rows * cols));
      REQUIRE(swiglu(in.data(), rows, cols, out.data(), nullptr) == 0);
      check_close(out.values(), expected, kRelative);
      DeviceArray<Bf16> alone(row_of(x, rows - 1, 2 * cols)), result(static_cast<std::size_t>(cols));
      REQUIRE(swiglu(alone.data(), 1, cols, result.data(), nullptr) == 0);
      CHECK(result.values() == row_of(out.values(), rows - 1, cols));
    });
  }
}

TEST_CASE("rows by index: embedding, gather, scatter, negative ids") {
  for (const auto& [rows, cols] : kSizes) {
    test::Values values(static_cast<std::uint64_t>(rows + cols));
    const int table_rows = 2 * rows + 3;
    const auto table = bf16s(values.uniform(static_cast<std::size_t>(table_rows * cols)));
    const auto before = bf16s(values.uniform(static_cast<std::size_t>(table_rows * cols)));
    std::vector<std::int32_t> index;
    for (int r = 0; r < rows; ++r) index.push_back(r == 1 ? -1 : table_rows - 1 - 2 * r);
    std::vector<Bf16> gathered(before.begin(), before.begin() + rows * cols), scattered = before;
    for (int r = 0; r < rows; ++r)
      for (int i = 0; i < cols; ++i) {
        const std::int32_t other = index[static_cast<std::size_t>(r)];
        if (other < 0) continue;
        gathered[static_cast<std::size_t>(r * cols + i)] = table[static_cast<std::size_t>(other * cols + i)];
        scattered[static_cast<std::size_t>(other * cols + i)] = table[static_cast<std::size_t>(r * cols + i)];
      }
    test::for_schedules(false, [&, rows = rows, cols = cols] {
      DeviceArray<Bf16> from(table), to(row_of(before, 0, rows * cols)), copy(row_of(before, 0, rows * cols)),
          all(before);
      DeviceArray<std::int32_t> ids(index);
      REQUIRE(embed(from.data(), ids.data(), rows, cols, to.data(), nullptr) == 0);
      CHECK(to.values() == gathered);
      REQUIRE(gather_rows(from.data(), ids.data(), rows, cols, copy.data(), nullptr) == 0);
      CHECK(copy.values() == gathered);
      REQUIRE(scatter_rows(from.data(), ids.data(), rows, cols, all.data(), nullptr) == 0);
      CHECK(all.values() == scattered);
    });
  }
  CHECK(embed(nullptr, nullptr, 0, 8, nullptr, nullptr) == 0);
}

TEST_CASE("sums of parts: the order is (0 + 1) + (2 + 3), then the bias") {
  struct Sum {
    int count, rows, cols;
  };
  for (const auto& [count, rows, cols] :
       {Sum{1, 3, 43}, Sum{1, 1, 1}, Sum{2, 3, 43}, Sum{2, 1, 200}, Sum{4, 3, 43}, Sum{4, 2, 131}}) {
    test::Values values(static_cast<std::uint64_t>(count));
    const auto size = static_cast<std::size_t>(rows * cols);
    auto parts = values.uniform(size * static_cast<std::size_t>(count));
    // What a large part swallows depends on the order of the sum.
    for (std::size_t i = 0; count == 4 && i < size; ++i) {
      parts[size + i] += 0x1p24f;
      parts[2 * size + i] -= 0x1p24f;
    }
    const auto bias = values.uniform(static_cast<std::size_t>(cols));
    std::vector<Bf16> with, without;
    for (std::size_t i = 0; i < size; ++i) {
      const auto part = [&](int p) { return parts[static_cast<std::size_t>(p) * size + i]; };
      float sum = part(0);
      if (count > 1) sum += part(1);
      if (count > 2) sum += part(2) + part(3);
      without.push_back(test::bf16(sum));
      with.push_back(test::bf16(sum + bias[i % static_cast<std::size_t>(cols)]));
    }
    test::for_schedules(false, [&, count = count, rows = rows, cols = cols] {
      DeviceArray<float> in(parts), add_once(bias);
      DeviceArray<Bf16> out(size);
      REQUIRE(sum_parts(in.data(), count, add_once.data(), rows, cols, out.data(), nullptr) == 0);
      CHECK(out.values() == with);
      REQUIRE(sum_parts(in.data(), count, nullptr, rows, cols, out.data(), nullptr) == 0);
      CHECK(out.values() == without);
    });
  }
}
