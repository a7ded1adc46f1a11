#include "kernels/cpu/sampling.h"

#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/sampling.cpp"
#include "hwy/foreach_target.h"
// clang-format off
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace assize::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

HWY_ATTR float finite_maximum(const float* values, std::size_t count) {
  const F32Tag d;
  F32 top = hn::Set(d, -HUGE_VALF);
  auto finite = hn::Eq(top, top);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const F32 v = hn::LoadU(d, values + i);
    finite = hn::And(finite, hn::IsFinite(v));
    top = hn::Max(top, v);
  }
  bool all_finite = hn::AllTrue(d, finite);
  float best = hn::GetLane(hn::MaxOfLanes(d, top));
  for (; i < count; ++i) {
    all_finite = all_finite && std::isfinite(values[i]);
    best = values[i] > best ? values[i] : best;
  }
  return all_finite ? best : std::nanf("");
}

/// Adds `kVirtualLanes` values at a time by f(lane values, part) into 16 lanes; the last group is padded with
/// `pad`.
template <class F>
HWY_INLINE HWY_ATTR float lane_sum(const float* values, std::size_t count, float pad, const F& f) {
  const F32Tag d;
  F32 sum[kParts];
  for (std::size_t p = 0; p < kParts; ++p) sum[p] = hn::Zero(d);
  std::size_t i = 0;
  for (; i + kVirtualLanes <= count; i += kVirtualLanes)
    for (std::size_t p = 0; p < kParts; ++p)
      sum[p] = hn::Add(sum[p], f(hn::LoadU(d, values + i + p * kLanes), i + p * kLanes, kLanes));
  if (i < count) {
    float rest[kVirtualLanes];
    for (float& r : rest) r = pad;
    std::memcpy(rest, values + i, (count - i) * sizeof(float));
    for (std::size_t p = 0; p < kParts; ++p) {
      const std::size_t first = i + p * kLanes;
      const std::size_t valid = first >= count ? 0 : count - first < kLanes ? count - first : kLanes;
      sum[p] = hn::Add(sum[p], f(hn::LoadU(d, rest + p * kLanes), first, valid));
    }
  }
  float lanes[kVirtualLanes];
  for (std::size_t p = 0; p < kParts; ++p) hn::StoreU(sum[p], d, lanes + p * kLanes);
  return tree_sum(lanes);
}

struct ExpWeight {
  float maximum, scale;
  float* weights;
  HWY_INLINE HWY_ATTR F32 operator()(F32 value, std::size_t first, std::size_t valid) const {
    const F32Tag d;
    const F32 w = exp_f32(hn::Mul(hn::Sub(value, hn::Set(d, maximum)), hn::Set(d, scale)));
    if (weights && valid == kLanes) {
      hn::StoreU(w, d, weights + first);
    } else if (weights) {
      float lanes[kLanes];
      hn::StoreU(w, d, lanes);
      std::memcpy(weights + first, lanes, valid * sizeof(float));
    }
    return w;
  }
};

HWY_ATTR float exp_sum(const float* values, std::size_t count, float maximum, float scale, float* weights) {
  return lane_sum(values, count, -HUGE_VALF, ExpWeight{maximum, scale, weights});
}

struct Above {
  float threshold;
  std::int64_t* above;
  HWY_INLINE HWY_ATTR F32 operator()(F32 weight, std::size_t, std::size_t) const {
    const F32Tag d;
    const auto mask = hn::Gt(weight, hn::Set(d, threshold));
    *above += static_cast<std::int64_t>(hn::CountTrue(d, mask));
    return hn::IfThenElseZero(mask, weight);
  }
};

HWY_ATTR float sum_above(const float* weights, std::size_t count, float threshold, std::int64_t* above) {
  std::int64_t counted = 0;
  const float sum = lane_sum(weights, count, -HUGE_VALF, Above{threshold, &counted});
  *above = counted;
  return sum;
}

HWY_ATTR std::size_t find_above(const float* values, std::size_t begin, std::size_t end, float threshold) {
  const F32Tag d;
  const F32 limit = hn::Set(d, threshold);
  std::size_t i = begin;
  for (; i + kLanes <= end; i += kLanes) {
    const intptr_t found = hn::FindFirstTrue(d, hn::Gt(hn::LoadU(d, values + i), limit));
    if (found >= 0) return i + static_cast<std::size_t>(found);
  }
  while (i < end && !(values[i] > threshold)) ++i;
  return i;
}

#endif
}  // namespace HWY_NAMESPACE
}  // namespace assize::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assize::kernels {

float finite_maximum(InstructionSet set, const float* values, std::size_t count) {
  return set == InstructionSet::avx512 ? N_AVX3::finite_maximum(values, count)
                                       : N_AVX2::finite_maximum(values, count);
}

float exp_sum(InstructionSet set, const float* values, std::size_t count, float maximum, float scale,
              float* weights) {
  return set == InstructionSet::avx512 ? N_AVX3::exp_sum(values, count, maximum, scale, weights)
                                       : N_AVX2::exp_sum(values, count, maximum, scale, weights);
}

float sum_above(InstructionSet set, const float* weights, std::size_t count, float threshold,
                std::int64_t* above) {
  return set == InstructionSet::avx512 ? N_AVX3::sum_above(weights, count, threshold, above)
                                       : N_AVX2::sum_above(weights, count, threshold, above);
}

std::size_t find_above(InstructionSet set, const float* values, std::size_t begin, std::size_t end,
                       float threshold) {
  return set == InstructionSet::avx512 ? N_AVX3::find_above(values, begin, end, threshold)
                                       : N_AVX2::find_above(values, begin, end, threshold);
}

}  // namespace assize::kernels
#endif
