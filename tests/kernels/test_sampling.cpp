#include <algorithm>

#include "base/noise.h"
#include "kernels/cpu/sampling.h"
#include "kernels/sets.h"
#include "support/catch.h"
#include "support/values.h"

using namespace assize;
using namespace assize::kernels;

namespace {
constexpr double kExpRelative = 2e-7;
}

TEST_CASE(
    "exp_sum: weights within the stated error of e^x, exactly 1 at the maximum, same bits on every set") {
  std::vector<float> x;
  for (int i = 0; i <= 87330; ++i) x.push_back(-static_cast<float>(i) * 1e-3f);
  std::vector<std::vector<float>> all;
  std::vector<float> sums;
  for (const auto set : test::instruction_sets()) {
    std::vector<float> weights(x.size());
    sums.push_back(exp_sum(set, x.data(), x.size(), 0.0f, 1.0f, weights.data()));
    all.push_back(weights);
  }
  REQUIRE(all[0][0] == 1.0f);
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(static_cast<double>(x[i]));
    total += expected;
    if (!(std::abs(all[0][i] - expected) <= kExpRelative * expected))
      FAIL("e^" << x[i] << " = " << all[0][i] << " for " << expected);
  }
  CHECK(std::abs(sums[0] - total) <= 1e-5 * total);
  if (all.size() == 2) {
    CHECK(test::same_bits(all[0], all[1]));
    CHECK(sums[0] == sums[1]);
  }
}

TEST_CASE("sampling kernels: sums, counts and searches at sizes around the vectors") {
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{7}, std::size_t{16}, std::size_t{33}, std::size_t{1009}}) {
    auto x = test::Values(count).uniform(count, 9.0f);
    const float top = *std::max_element(x.begin(), x.end());
    std::vector<float> sums, masses;
    for (const auto set : test::instruction_sets()) {
      CHECK(finite_maximum(set, x.data(), count) == top);
      std::vector<float> weights((count + 15) / 16 * 16);
      sums.push_back(exp_sum(set, x.data(), count, top, 0.5f, weights.data()));
      CHECK(exp_sum(set, x.data(), count, top, 0.5f, nullptr) == sums.back());
      double expected = 0, expected_above = 0;
      std::int64_t above = 0, counted = 0;
      for (std::size_t i = 0; i < count; ++i) {
        expected += std::exp(0.5 * (double{x[i]} - top));
        if (weights[i] > 0.25f) {
          expected_above += weights[i];
          ++above;
        }
      }
      CHECK(sums.back() == Approx(expected).epsilon(1e-6));
      std::vector<std::uint32_t> all(weights.size() / 16), kept(all.size());
      for (std::size_t g = 0; g < all.size(); ++g) all[g] = static_cast<std::uint32_t>(g);
      std::size_t kept_count = 0, full_count = 0, again = 0;
      sum_above(set, weights.data(), {all.data(), all.size()}, 0.1f, &counted, kept.data(), &kept_count);
      masses.push_back(
          sum_above(set, weights.data(), {all.data(), all.size()}, 0.25f, &counted, all.data(), &full_count));
      CHECK(sum_above(set, weights.data(), {kept.data(), kept_count}, 0.25f, &counted, kept.data(), &again) ==
            masses.back());
      CHECK(again == full_count);
      CHECK(masses.back() == Approx(expected_above).epsilon(1e-6));
      CHECK(counted == above);
      for (std::size_t begin = 0; begin <= count; begin += 1 + count / 9) {
        const auto found = std::find_if(x.begin() + static_cast<std::ptrdiff_t>(begin), x.end(),
                                        [](float v) { return v > 2.0f; });
        CHECK(find_above(set, x.data(), begin, count, 2.0f) == static_cast<std::size_t>(found - x.begin()));
      }
      for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
        auto broken = x;
        broken[count / 2] = bad;
        CHECK(std::isnan(finite_maximum(set, broken.data(), count)));
      }
    }
    if (sums.size() == 2) {
      CHECK(sums[0] == sums[1]);
      CHECK(masses[0] == masses[1]);
    }
  }
}

TEST_CASE("find_lucky: no token that can win is missed, at most one in a thousand is found in vain") {
  const std::size_t count = 5003;
  auto weights = test::Values(8).uniform(count);
  for (float& w : weights) w = std::abs(w) < 0.3f ? 0.0f : std::exp(-12.0f * std::abs(w));
  const NoiseCounter noise{0xABCDEF0123456789ull, 77, 1000};
  for (const auto set : test::instruction_sets())
    for (const float scale : {0.0f, 1e-3f, 1.0f, 40.0f, HUGE_VALF}) {
      std::vector<std::size_t> found;
      for (std::size_t from = 0;
           (from = find_lucky(set, weights.data(), from, count, 1e-5f, scale, noise)) < count; ++from)
        found.push_back(from);
      std::size_t needed = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const double u =
            base::noise_uniform(noise.stream, noise.position, noise.first_id + static_cast<std::uint32_t>(i));
        if (!(weights[i] > 1e-5f && 1 - u <= double{weights[i]} * scale)) continue;
        ++needed;
        REQUIRE(std::binary_search(found.begin(), found.end(), i));
      }
      CHECK(found.size() <= needed + count / 1000);
    }
}
