#include <algorithm>
#include <functional>

#include "kernels/cpu/elementwise.h"
#include "kernels/sets.h"
#include "support/catch.h"
#include "support/values.h"

using namespace assize;
using namespace assize::kernels;

namespace {

constexpr double kSiluRelative = 4e-7;      ///< exp 2e-7, sum, division and product
constexpr double kGeluPerMagnitude = 2e-7;  ///< of |x|
constexpr double kNormRelative = 1e-6;

/// f on every set; checks that the bits agree and returns the result.
std::vector<float> on_every_set(const std::function<std::vector<float>(InstructionSet)>& f) {
  std::vector<std::vector<float>> all;
  for (const auto set : test::instruction_sets()) all.push_back(f(set));
  if (all.size() == 2) REQUIRE(test::same_bits(all[0], all[1]));
  return all[0];
}

/// silu(gate) * up of gates and ups that alternate by sixteens.
std::vector<float> swiglu_of(InstructionSet set, const std::vector<float>& gate, const std::vector<float>& up) {
  std::vector<float> gate_up, result(gate.size());
  for (std::size_t first = 0; first < gate.size(); first += 16)
    for (const auto* from : {&gate, &up})
      for (std::size_t i = first; i < std::min(gate.size(), first + 16); ++i) gate_up.push_back((*from)[i]);
  swiglu(set, gate_up.data(), gate.size(), result.data());
  return result;
}

}  // namespace

TEST_CASE("swiglu: relative error over the whole range of the gate") {
  for (const std::size_t count : {std::size_t{1}, std::size_t{15}, std::size_t{17}, std::size_t{20011}}) {
    test::Values values(count);
    const auto gate = values.uniform(count, 80.0f), up = values.uniform(count, 3.0f);
    const auto out = on_every_set([&](InstructionSet set) { return swiglu_of(set, gate, up); });
    for (std::size_t i = 0; i < count; ++i) {
      const double g = gate[i], expected = g / (1 + std::exp(-g)) * up[i];
      if (!(std::abs(out[i] - expected) <= kSiluRelative * std::abs(expected)))
        FAIL("gate " << g << ": " << out[i] << " for " << expected);
    }
  }
}

TEST_CASE("swiglu: extreme gates give zero or the gate, NaN stays NaN") {
  const std::vector<float> gate{-1000.0f, -88.5f, 0.0f, 100.0f, 3e38f, std::nanf("")};
  const std::vector<float> up(gate.size(), 1.0f);
  const auto out = on_every_set([&](InstructionSet set) { return swiglu_of(set, gate, up); });
  CHECK(out[0] == 0.0f);
  CHECK(std::abs(out[1]) < 1e-35f);
  CHECK(out[2] == 0.0f);
  CHECK(out[3] == 100.0f);
  CHECK(out[4] == 3e38f);
  CHECK(std::isnan(out[5]));
}

TEST_CASE("gelu: exact-erf form") {
  std::vector<float> x;
  for (int i = -60000; i <= 60000; ++i) x.push_back(static_cast<float>(i) * 1e-4f);
  x.push_back(50.0f);
  x.push_back(-50.0f);
  const auto out = on_every_set([&](InstructionSet set) {
    auto result = x;
    gelu(set, result.data(), result.size());
    return result;
  });
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x[i], expected = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    if (!(std::abs(out[i] - expected) <= kGeluPerMagnitude * std::abs(v)))
      FAIL("x " << v << ": " << out[i] << " for " << expected);
  }
}

TEST_CASE("rms_norm and add: against double at odd widths") {
  for (const std::int32_t columns : {1, 7, 16, 17, 64, 577}) {
    test::Values values(static_cast<std::uint64_t>(columns));
    const auto count = static_cast<std::size_t>(columns);
    const auto x = values.uniform(count, 5.0f), delta = values.uniform(count), weight = values.uniform(count);
    const auto sum = on_every_set([&](InstructionSet set) {
      auto result = x;
      add(set, result.data(), delta.data(), count);
      return result;
    });
    for (std::size_t i = 0; i < count; ++i) REQUIRE(sum[i] == x[i] + delta[i]);
    const auto out = on_every_set([&](InstructionSet set) {
      std::vector<float> result(count);
      rms_norm(set, x.data(), weight.data(), 1e-5f, columns, result.data());
      return result;
    });
    double square = 0;
    for (const float v : x) square += static_cast<double>(v) * v;
    for (std::size_t i = 0; i < count; ++i) {
      const double expected = x[i] / std::sqrt(square / columns + 1e-5) * weight[i];
      REQUIRE(std::abs(out[i] - expected) <= kNormRelative * std::abs(expected));
    }
  }
}

TEST_CASE("rotate_half: pairs (j, j + half)") {
  const std::int32_t half = 40;
  test::Values values(5);
  const auto head = values.uniform(80), angle = values.uniform(40, 3.0f);
  std::vector<float> c, s;
  for (const float a : angle) {
    c.push_back(std::cos(a));
    s.push_back(std::sin(a));
  }
  const auto out = on_every_set([&](InstructionSet set) {
    auto result = head;
    rotate_half(set, result.data(), c.data(), s.data(), half);
    return result;
  });
  for (std::size_t j = 0; j < 40; ++j) {
    CHECK(std::abs(out[j] - (double{head[j]} * c[j] - double{head[j + 40]} * s[j])) <= 2e-7);
    CHECK(std::abs(out[j + 40] - (double{head[j + 40]} * c[j] + double{head[j]} * s[j])) <= 2e-7);
  }
}
