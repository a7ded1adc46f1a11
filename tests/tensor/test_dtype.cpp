#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "support/catch.h"
#include "tensor/dtype.h"

using namespace assize::tensor;

namespace {

/// Nearest value (ties to even) with `digits` fraction bits and least exponent `least`, by scaling in double.
double rounded(double value, int digits, int least) {
  if (value == 0) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int unit = std::max(exponent - 1, least) - digits;
  return std::ldexp(std::nearbyint(std::ldexp(value, -unit)), unit);
}

float random_float(std::mt19937& random) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(random()));
}

}  // namespace

TEST_CASE("every bf16 and f16 value survives the way through float") {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto stored = static_cast<std::uint16_t>(bits);
    const float from_bf16 = bf16_to_f32(stored), from_f16 = f16_to_f32(stored);
    if (std::isnan(from_bf16)) {
      REQUIRE(std::isnan(bf16_to_f32(f32_to_bf16(from_bf16))));
    } else {
      REQUIRE(f32_to_bf16(from_bf16) == stored);
    }
    if (std::isnan(from_f16)) {
      REQUIRE(std::isnan(f16_to_f32(f32_to_f16(from_f16))));
    } else {
      REQUIRE(f32_to_f16(from_f16) == stored);
    }
  }
}

TEST_CASE("half values against their definition") {
  CHECK(f16_to_f32(0x3C00) == 1.0f);
  CHECK(f16_to_f32(0x0001) == std::ldexp(1.0f, -24));
  CHECK(f16_to_f32(0x83FF) == -std::ldexp(1023.0f, -24));
  CHECK(f16_to_f32(0x7BFF) == 65504.0f);
  CHECK(f16_to_f32(0xFC00) == -std::numeric_limits<float>::infinity());
  CHECK(std::signbit(f16_to_f32(0x8000)));
  CHECK(bf16_to_f32(0x3F80) == 1.0f);
  CHECK(bf16_to_f32(0xC049) == -3.140625f);
}

TEST_CASE("narrowing rounds to nearest even, subnormals and overflow included") {
  std::mt19937 random(7);
  for (int i = 0; i < 300000; ++i) {
    // Every third value lies in the range of half and is cut to few bits, so that ties are frequent.
    float value = random_float(random);
    if (i % 3 == 0)
      value = std::ldexp(static_cast<float>(random() % 8192), static_cast<int>(random() % 46) - 36);
    if (!std::isfinite(value)) continue;
    const double half = rounded(value, 10, -14);
    const double expected_half = std::fabs(half) >= 65536.0 ? std::copysign(INFINITY, half) : half;
    REQUIRE(static_cast<double>(f16_to_f32(f32_to_f16(value))) == expected_half);
    const double brain = rounded(value, 7, -126);
    const double expected_brain =
        std::fabs(brain) >= std::ldexp(1.0, 128) ? std::copysign(INFINITY, brain) : brain;
    REQUIRE(static_cast<double>(bf16_to_f32(f32_to_bf16(value))) == expected_brain);
  }
  CHECK(f32_to_f16(65519.996f) == 0x7BFF);
  CHECK(f32_to_f16(65520.0f) == 0x7C00);
  CHECK(f32_to_f16(std::ldexp(1.0f, -25)) == 0x0000);
  CHECK(f32_to_f16(std::nextafter(std::ldexp(1.0f, -25), 1.0f)) == 0x0001);
  CHECK(f32_to_f16(-0.0f) == 0x8000);
}
