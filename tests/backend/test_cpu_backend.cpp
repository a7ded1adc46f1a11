#include <algorithm>
#include <cmath>

#include "backend/backend_fixture.h"
#include "base/error.h"

using namespace assize;
using namespace assize::backend;
using test::Stored;
using Floats = std::vector<float>;

namespace {

constexpr double kTolerance = 1e-5;  ///< of the sum of magnitudes of a product

/// y = x w^T + b in double, with the sum of magnitudes beside it.
void check_product(const Floats& y, const Floats& x, const Stored& w, const Floats& bias, std::size_t rows) {
  const auto n = static_cast<std::size_t>(w.view.shape[0]), k = static_cast<std::size_t>(w.view.shape[1]);
  REQUIRE(y.size() == rows * n);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < n; ++c) {
      double sum = bias.empty() ? 0.0 : bias[c], magnitude = std::abs(sum);
      for (std::size_t i = 0; i < k; ++i) {
        const double product = double{x[r * k + i]} * tensor::element_f32(w.view, c * k + i);
        sum += product;
        magnitude += std::abs(product);
      }
      if (!(std::abs(y[r * n + c] - sum) <= kTolerance * magnitude))
        FAIL("row " << r << " column " << c << ": " << y[r * n + c] << " for " << sum);
    }
}

}  // namespace

TEST_CASE(
    "backend: a column-split and a row-split layer, the same bits at every degree, thread count and set") {
  const auto dtype = GENERATE(tensor::DType::bf16, tensor::DType::f32, tensor::DType::f16);
  const std::size_t rows = GENERATE(std::size_t{1}, std::size_t{5}, std::size_t{1300});
  const std::int64_t inner = 108, hidden = 52;
  test::Values values(21);
  const Stored up({inner, hidden}, values.uniform(static_cast<std::size_t>(inner * hidden)), dtype);
  const Stored up_bias({inner}, values.uniform(static_cast<std::size_t>(inner)), dtype);
  const Stored down({hidden, inner}, values.uniform(static_cast<std::size_t>(inner * hidden)), dtype);
  const Stored down_bias({hidden}, values.uniform(static_cast<std::size_t>(hidden)), dtype);
  const auto x = values.uniform(rows * static_cast<std::size_t>(hidden));

  const auto out = test::same_everywhere<Floats>([&](Backend& b) {
    const auto own = shard_range(inner, b.group().rank(), b.group().size());
    const LinearPart part{&up.view, &up_bias.view, own.begin, own.end};
    const auto first = b.pack_columns({&part, 1});
    const auto second = b.pack_rows(down.view, &down_bias.view);
    const auto in = test::upload(b, x, static_cast<std::int32_t>(hidden));
    const auto middle = b.allocate(static_cast<std::int64_t>(rows), static_cast<std::int32_t>(own.size()));
    const auto end = b.allocate(static_cast<std::int64_t>(rows), static_cast<std::int32_t>(hidden));
    b.linear(*first, in, static_cast<std::int32_t>(rows), middle);
    b.linear(*second, middle, static_cast<std::int32_t>(rows), end);
    return test::download(b, end, rows);
  });

  const auto middle = test::on_group<Floats>(1, {1, ""}, [&](Backend& b) {
    const LinearPart part{&up.view, &up_bias.view, 0, inner};
    const auto first = b.pack_columns({&part, 1});
    const auto in = test::upload(b, x, static_cast<std::int32_t>(hidden));
    const auto out = b.allocate(static_cast<std::int64_t>(rows), static_cast<std::int32_t>(inner));
    b.linear(*first, in, static_cast<std::int32_t>(rows), out);
    return test::download(b, out, rows);
  });
  Floats b1, b2;
  for (std::size_t i = 0; i < static_cast<std::size_t>(inner); ++i)
    b1.push_back(tensor::element_f32(up_bias.view, i));
  for (std::size_t i = 0; i < static_cast<std::size_t>(hidden); ++i)
    b2.push_back(tensor::element_f32(down_bias.view, i));
  check_product(middle, x, up, b1, rows);
  check_product(out, middle, down, b2, rows);
}

TEST_CASE("backend: stacked parts of odd sizes are the parts one below the other") {
  test::Values values(22);
  const Stored a({23, 31}, values.uniform(23 * 31), tensor::DType::bf16),
      b({7, 31}, values.uniform(7 * 31), tensor::DType::bf16);
  const Stored bias({7}, values.uniform(7));
  const auto x = values.uniform(2 * 31);
  const auto y = test::on_group<Floats>(1, {2, ""}, [&](Backend& backend) {
    const LinearPart parts[] = {
        {&a.view, nullptr, 2, 21}, {&b.view, &bias.view, 0, 7}, {&a.view, nullptr, 0, 1}};
    const auto layer = backend.pack_columns(parts);
    const auto in = test::upload(backend, x, 31), out = backend.allocate(2, 27);
    backend.linear(*layer, in, 2, out);
    return test::download(backend, out, 2);
  });
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t c = 0; c < 27; ++c) {
      const auto& view = c >= 19 && c < 26 ? b.view : a.view;
      const std::size_t row = c < 19 ? c + 2 : c < 26 ? c - 19 : 0;
      double sum = c >= 19 && c < 26 ? tensor::element_f32(bias.view, row) : 0.0;
      for (std::size_t i = 0; i < 31; ++i)
        sum += double{x[r * 31 + i]} * tensor::element_f32(view, row * 31 + i);
      CHECK(std::abs(y[r * 27 + c] - sum) <= 1e-5);
    }
}

TEST_CASE("backend: what cannot be packed is named with its shape") {
  const Stored matrix({4, 8}, Floats(32)), wide({4, 9}, Floats(36)),
      short_bias({3}, Floats(3), tensor::DType::f32, "test.bias");
  auto alone = comm::make_alone();
  const auto b = make_cpu_backend(*alone, {1, ""});
  using Catch::Matchers::Contains;
  const LinearPart outside{&matrix.view, nullptr, 0, 5};
  CHECK_THROWS_WITH(b->pack_columns({&outside, 1}),
                    Contains("test.weight") && Contains("[4, 8]") && Contains("[0, 5)"));
  const LinearPart mixed[] = {{&matrix.view, nullptr, 0, 4}, {&wide.view, nullptr, 0, 4}};
  CHECK_THROWS_AS(b->pack_columns(mixed), base::Error);
  CHECK_THROWS_WITH(b->pack_rows(matrix.view, &short_bias.view),
                    Contains("test.bias") && Contains("expected [4]"));
  CHECK_THROWS_AS(b->make_kv_cache(1, 1, 1, 24), base::Error);
  CHECK_THROWS_WITH(make_cpu_backend(*alone, {1, "sse9"}), Contains("avx2 or avx512"));
}

TEST_CASE("backend: a gated layer is silu(gate) * up, the same bits at every degree, thread count and set") {
  const std::int64_t inner = GENERATE(std::int64_t{4}, std::int64_t{76}, std::int64_t{1216}), width = 41;
  const std::size_t rows = GENERATE(std::size_t{1}, std::size_t{11}, std::size_t{300});
  const bool has_bias = GENERATE(false, true);
  CAPTURE(inner, rows, has_bias);
  test::Values values(24);
  const auto I = static_cast<std::size_t>(inner), K = static_cast<std::size_t>(width);
  const Stored gate({inner, width}, values.uniform(I * K), tensor::DType::bf16),
      up({inner, width}, values.uniform(I * K), tensor::DType::bf16), gate_bias({inner}, values.uniform(I)),
      up_bias({inner}, values.uniform(I)), down({3, inner}, values.uniform(3 * I), tensor::DType::bf16);
  const auto x = values.uniform(rows * K);
  /// silu(gate) * up of a rank's columns.
  const auto activate = [&](Backend& b) {
    const auto own = shard_range(inner, b.group().rank(), b.group().size());
    const auto layer = b.pack_gated({&gate.view, has_bias ? &gate_bias.view : nullptr, own.begin, own.end},
                                    {&up.view, has_bias ? &up_bias.view : nullptr, own.begin, own.end});
    const auto columns = static_cast<std::int32_t>(own.size()), count = static_cast<std::int32_t>(rows);
    const auto in = test::upload(b, x, static_cast<std::int32_t>(width)),
               product = b.allocate(count, 2 * columns), result = b.allocate(count, columns);
    b.linear_swiglu(*layer, in, count, product, result);
    return result;
  };
  test::same_everywhere<Floats>([&](Backend& b) {
    const auto layer = b.pack_rows(down.view, nullptr);
    const auto end = b.allocate(static_cast<std::int64_t>(rows), 3);
    b.linear(*layer, activate(b), static_cast<std::int32_t>(rows), end);
    return test::download(b, end, rows);
  });
  const auto out = test::on_group<Floats>(1, {2, ""}, [&](Backend& b) { return test::download(b, activate(b), rows); });
  const auto product = [&](const Stored& w, const Stored& bias, std::size_t r, std::size_t c) {
    double sum = has_bias ? tensor::element_f32(bias.view, c) : 0.0;
    for (std::size_t i = 0; i < K; ++i) sum += double{x[r * K + i]} * tensor::element_f32(w.view, c * K + i);
    return sum;
  };
  for (std::size_t r = 0; r < rows; r += rows / 11 + 1)
    for (std::size_t c = 0; c < I; ++c) {
      const double g = product(gate, gate_bias, r, c), u = product(up, up_bias, r, c);
      if (!(std::abs(out[r * I + c] - g / (1 + std::exp(-g)) * u) <= kTolerance * (1 + std::abs(g) + std::abs(u))))
        FAIL("row " << r << " column " << c << ": " << out[r * I + c] << " for gate " << g << ", up " << u);
    }
}

TEST_CASE("backend: embed, gather, scatter, norms, add, gelu on rows") {
  test::Values values(23);
  const std::int32_t width = 35;
  const Stored table({11, width}, values.uniform(11 * 35), tensor::DType::bf16),
      weight({width}, values.uniform(35));
  const auto out = test::same_everywhere<Floats>([&](Backend& b) {
    const auto embedding = b.make_embedding(table.view);
    const auto norm = b.upload_vector(weight.view);
    const auto x = b.allocate(20, width), y = b.allocate(20, width);
    b.upload(Floats(20 * 35, 3.0f), x);
    std::vector<std::int32_t> ids;
    for (int r = 0; r < 20; ++r) ids.push_back(r == 4 ? -1 : (r * 7) % 11);
    b.embed(*embedding, ids, x);
    auto all = test::download(b, x, 20);
    const std::vector<std::int32_t> rows{5, 4, 19};
    b.gather_rows(x, rows, y);
    b.scatter_rows(y, std::vector<std::int32_t>{0, 1, 2}, x);
    const auto append = [&](Activation a, std::size_t count) {
      const auto more = test::download(b, a, count);
      all.insert(all.end(), more.begin(), more.end());
    };
    append(x, 20);
    b.rms_norm(x, *norm, 1e-6f, 20, y);
    append(y, 20);
    b.add_rms_norm(x, y, *norm, 1e-6f, 20, y);
    append(x, 20);
    append(y, 20);
    b.add(x, y, 20);
    b.gelu(x, 20);
    append(x, 20);
    return all;
  });
  const auto at = [&](int block, int row, int column) {
    return double{out[static_cast<std::size_t>((block * 20 + row) * 35 + column)]};
  };
  for (int r = 0; r < 20; ++r) {
    double square = 0;
    for (int c = 0; c < width; ++c) {
      const double embedded =
          r == 4 ? 3.0 : tensor::element_f32(table.view, static_cast<std::size_t>((r * 7) % 11 * 35 + c));
      REQUIRE(at(0, r, c) == embedded);
      const int source = r == 0 ? 5 : r == 1 ? 4 : r == 2 ? 19 : r;
      REQUIRE(at(1, r, c) == at(0, source, c));
      square += at(1, r, c) * at(1, r, c);
    }
    for (int c = 0; c < width; ++c) {
      const double w = tensor::element_f32(weight.view, static_cast<std::size_t>(c));
      REQUIRE(at(2, r, c) == Approx(at(1, r, c) / std::sqrt(square / width + 1e-6) * w).margin(1e-6));
      REQUIRE(at(3, r, c) == Approx(at(1, r, c) + at(2, r, c)).margin(1e-6));
    }
  }
}
