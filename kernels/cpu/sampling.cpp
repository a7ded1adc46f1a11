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
    const F32 w = exp_below_88(hn::Mul(hn::Sub(value, hn::Set(d, maximum)), hn::Set(d, scale)));
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

HWY_ATTR float sum_above(const float* weights, WeightGroups from, float threshold, std::int64_t* above,
                         std::uint32_t* kept, std::size_t* kept_count) {
  const F32Tag d;
  const F32 limit = hn::Set(d, threshold);
  F32 sum[kParts];
  for (std::size_t p = 0; p < kParts; ++p) sum[p] = hn::Zero(d);
  std::size_t counted = 0, written = 0;
  for (std::size_t g = 0; g < from.count; ++g) {
    const std::uint32_t group = from.groups[g];
    std::size_t here = 0;
    for (std::size_t p = 0; p < kParts; ++p) {
      const F32 weight = hn::LoadU(d, weights + group * kVirtualLanes + p * kLanes);
      const auto mask = hn::Gt(weight, limit);
      here += hn::CountTrue(d, mask);
      sum[p] = hn::Add(sum[p], hn::IfThenElseZero(mask, weight));
    }
    counted += here;
    kept[written] = group;
    written += here > 0;
  }
  float lanes[kVirtualLanes];
  for (std::size_t p = 0; p < kParts; ++p) hn::StoreU(sum[p], d, lanes + p * kLanes);
  *above = static_cast<std::int64_t>(counted);
  *kept_count = written;
  return tree_sum(lanes);
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

using U64Tag = hn::Repartition<std::uint64_t, F32Tag>;

/// SplitMix64's finaliser, as in base/noise.h.
HWY_INLINE HWY_ATTR hn::Vec<U64Tag> mix(hn::Vec<U64Tag> z) {
  const U64Tag d;
  z = hn::Mul(hn::Xor(z, hn::ShiftRight<30>(z)), hn::Set(d, 0xBF58476D1CE4E5B9ull));
  z = hn::Mul(hn::Xor(z, hn::ShiftRight<27>(z)), hn::Set(d, 0x94D049BB133111EBull));
  return hn::Xor(z, hn::ShiftRight<31>(z));
}

HWY_ATTR std::size_t find_lucky(const float* weights, std::size_t begin, std::size_t end, float threshold,
                                float scale, const NoiseCounter& noise) {
  constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ull;
  const F32Tag d;
  const I32Tag di;
  const U32Tag du;
  const U64Tag d64;
  const F32 limit = hn::Set(d, threshold), factor = hn::Set(d, scale), unit = hn::Set(d, 0x1p-31f);
  const auto low_lanes = hn::Mul(hn::Iota(d64, 0), hn::Set(d64, kStep));
  const auto high_lanes = hn::Mul(hn::Iota(d64, kLanes / 2), hn::Set(d64, kStep));
  const std::uint64_t base =
      noise.stream + kStep * (((static_cast<std::uint64_t>(noise.position) << 32) | noise.first_id) + 1);
  for (std::size_t i = begin; i < end; i += kLanes) {
    float rest[kLanes] = {};
    const bool whole = i + kLanes <= end;
    if (!whole) std::memcpy(rest, weights + i, (end - i) * sizeof(float));
    const F32 weight = hn::LoadU(d, whole ? weights + i : rest);
    const auto large = hn::Gt(weight, limit);
    if (hn::AllFalse(d, large)) continue;
    const auto start = hn::Set(d64, base + kStep * i);
    // The upper halves of the 64-bit numbers, r, give u = (r + 1/2) 2^-32, hence 1 - u >= (~r >> 1) 2^-31.
    const auto r = hn::ConcatOdd(du, hn::BitCast(du, mix(hn::Add(start, high_lanes))),
                                 hn::BitCast(du, mix(hn::Add(start, low_lanes))));
    const F32 rest_of_one = hn::Mul(hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<1>(hn::Not(r)))), unit);
    const auto lucky = hn::And(large, hn::Le(rest_of_one, hn::Mul(weight, factor)));
    const intptr_t found = hn::FindFirstTrue(d, lucky);
    if (found >= 0 && i + static_cast<std::size_t>(found) < end) return i + static_cast<std::size_t>(found);
  }
  return end;
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

float sum_above(InstructionSet set, const float* weights, WeightGroups from, float threshold,
                std::int64_t* above, std::uint32_t* kept, std::size_t* kept_count) {
  return set == InstructionSet::avx512 ? N_AVX3::sum_above(weights, from, threshold, above, kept, kept_count)
                                       : N_AVX2::sum_above(weights, from, threshold, above, kept, kept_count);
}

std::size_t find_above(InstructionSet set, const float* values, std::size_t begin, std::size_t end,
                       float threshold) {
  return set == InstructionSet::avx512 ? N_AVX3::find_above(values, begin, end, threshold)
                                       : N_AVX2::find_above(values, begin, end, threshold);
}

std::size_t find_lucky(InstructionSet set, const float* weights, std::size_t begin, std::size_t end,
                       float threshold, float scale, const NoiseCounter& noise) {
  return set == InstructionSet::avx512 ? N_AVX3::find_lucky(weights, begin, end, threshold, scale, noise)
                                       : N_AVX2::find_lucky(weights, begin, end, threshold, scale, noise);
}

}  // namespace assize::kernels
#endif
