#include "kernels/cpu/limits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/limits.cpp"
#include "hwy/foreach_target.h"
// clang-format off
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace assize::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

/// Two units of four cycles' latency need eight chains; twelve fit the registers of AVX2 beside the factors.
inline constexpr int kChains = 12;

HWY_ATTR float run_fma(std::int64_t rounds) {
  const F32Tag d;
  F32 sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = hn::Set(d, static_cast<float>(c));
  const F32 factor = hn::Set(d, 0.999f), addend = hn::Set(d, 0.001f);
  for (std::int64_t i = 0; i < rounds; ++i)
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) sum[c] = hn::MulAdd(sum[c], factor, addend);
  for (int c = 1; c < kChains; ++c) sum[0] = hn::Add(sum[0], sum[c]);
  return hn::GetLane(hn::SumOfLanes(d, sum[0]));
}

HWY_ATTR float run_read(const float* values, std::size_t count) {
  const F32Tag d;
  const I32Tag di;
  auto any = hn::Zero(di);
  const auto* words = reinterpret_cast<const std::int32_t*>(values);
  std::size_t i = 0;
  for (; i + 8 * kLanes <= count; i += 8 * kLanes)
#pragma GCC unroll 16
    for (std::size_t v = 0; v < 8; ++v) any = hn::Or(any, hn::LoadU(di, words + i + v * kLanes));
  for (; i + kLanes <= count; i += kLanes) any = hn::Or(any, hn::LoadU(di, words + i));
  return hn::GetLane(hn::BitCast(d, any));
}

#endif
}  // namespace HWY_NAMESPACE
}  // namespace assize::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assize::kernels {

std::int64_t fma_operations(InstructionSet set, std::int64_t rounds) {
  return rounds * N_AVX2::kChains * 2 * (set == InstructionSet::avx512 ? 16 : 8);
}

float run_fma(InstructionSet set, std::int64_t rounds) {
  return set == InstructionSet::avx512 ? N_AVX3::run_fma(rounds) : N_AVX2::run_fma(rounds);
}

float run_read(InstructionSet set, const float* values, std::size_t count) {
  return set == InstructionSet::avx512 ? N_AVX3::run_read(values, count) : N_AVX2::run_read(values, count);
}

}  // namespace assize::kernels
#endif
