#include "kernels/cpu/elementwise.h"

#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include "hwy/foreach_target.h"
// clang-format off
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace assize::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

/// erf: z P(z^2) for |z| < 0.92, else 1 - exp(Q(|z|)); absolute error below 2e-7. Both polynomials are
/// Chebyshev fits of ours: erf(sqrt s)/sqrt s on [0, 0.92^2] and log erfc on [0.92, 4].
HWY_ATTR F32 erf_f32(F32 z) {
  const F32Tag d;
  F32 a = hn::Abs(z);
  const auto small = hn::Lt(a, hn::Set(d, 0.92f));
  const F32 s = hn::Mul(z, z);
  F32 p = hn::Set(d, -0.0006017181440256536f);
  p = hn::MulAdd(p, s, hn::Set(d, 0.004998622927814722f));
  p = hn::MulAdd(p, s, hn::Set(d, -0.026770560070872307f));
  p = hn::MulAdd(p, s, hn::Set(d, 0.11281932890415192f));
  p = hn::MulAdd(p, s, hn::Set(d, -0.3761250674724579f));
  p = hn::MulAdd(p, s, hn::Set(d, 1.1283791065216064f));
  a = hn::IfThenElse(hn::Gt(a, hn::Set(d, 4.0f)), hn::Set(d, 4.0f), a);
  F32 q = hn::Set(d, 1.612904043213348e-06f);
  q = hn::MulAdd(q, a, hn::Set(d, -4.556713975034654e-05f));
  q = hn::MulAdd(q, a, hn::Set(d, 0.0005925663863308728f));
  q = hn::MulAdd(q, a, hn::Set(d, -0.004739245865494013f));
  q = hn::MulAdd(q, a, hn::Set(d, 0.026361873373389244f));
  q = hn::MulAdd(q, a, hn::Set(d, -0.10997311770915985f));
  q = hn::MulAdd(q, a, hn::Set(d, -0.6319426894187927f));
  q = hn::MulAdd(q, a, hn::Set(d, -1.130163311958313f));
  q = hn::MulAdd(q, a, hn::Set(d, 0.00030238047474995255f));
  const F32 large = hn::CopySign(hn::Sub(hn::Set(d, 1.0f), exp_f32(q)), z);
  return hn::IfThenElse(small, hn::Mul(p, z), large);
}

/// out[i] = f(a[i], b[i]) with the last, incomplete vector in a padded copy: the same arithmetic for each i.
template <class F>
HWY_INLINE HWY_ATTR void map2(const float* a, const float* b, std::size_t count, float* out, const F& f) {
  const F32Tag d;
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    hn::StoreU(f(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  if (i == count) return;
  float pad_a[kLanes] = {}, pad_b[kLanes] = {};
  std::memcpy(pad_a, a + i, (count - i) * sizeof(float));
  std::memcpy(pad_b, b + i, (count - i) * sizeof(float));
  hn::StoreU(f(hn::LoadU(d, pad_a), hn::LoadU(d, pad_b)), d, pad_a);
  std::memcpy(out + i, pad_a, (count - i) * sizeof(float));
}

struct Add {
  HWY_INLINE HWY_ATTR F32 operator()(F32 a, F32 b) const { return hn::Add(a, b); }
};
struct Swiglu {
  HWY_INLINE HWY_ATTR F32 operator()(F32 gate, F32 up) const { return hn::Mul(silu_f32(gate), up); }
};
struct Gelu {
  HWY_INLINE HWY_ATTR F32 operator()(F32 x, F32) const {
    const F32Tag d;
    const F32 erf = erf_f32(hn::Mul(x, hn::Set(d, 0.70710678118654752f)));
    return hn::Mul(hn::Mul(x, hn::Set(d, 0.5f)), hn::Add(hn::Set(d, 1.0f), erf));
  }
};
struct Scale {
  float factor;
  HWY_INLINE HWY_ATTR F32 operator()(F32 x, F32 weight) const {
    return hn::Mul(hn::Mul(x, hn::Set(F32Tag(), factor)), weight);
  }
};

HWY_ATTR void add(float* residual, const float* delta, std::size_t count) {
  map2(residual, delta, count, residual, Add{});
}

HWY_ATTR void swiglu(const float* gate_up, std::size_t count, float* out) {
  std::size_t i = 0;
  for (; i + kGateColumns <= count; i += kGateColumns)
    map2(gate_up + 2 * i, gate_up + 2 * i + kGateColumns, kGateColumns, out + i, Swiglu{});
  map2(gate_up + 2 * i, gate_up + i + count, count - i, out + i, Swiglu{});
}

HWY_ATTR void gelu(float* x, std::size_t count) { map2(x, x, count, x, Gelu{}); }

HWY_ATTR void rms_norm(const float* x, const float* weight, float epsilon, std::int32_t columns, float* out) {
  const F32Tag d;
  F32 sum[kParts];
  for (std::size_t p = 0; p < kParts; ++p) sum[p] = hn::Zero(d);
  const auto count = static_cast<std::size_t>(columns);
  std::size_t i = 0;
  for (; i + kVirtualLanes <= count; i += kVirtualLanes)
    for (std::size_t p = 0; p < kParts; ++p) {
      const F32 v = hn::LoadU(d, x + i + p * kLanes);
      sum[p] = hn::MulAdd(v, v, sum[p]);
    }
  float lanes[kVirtualLanes], rest[kVirtualLanes] = {};
  std::memcpy(rest, x + i, (count - i) * sizeof(float));
  for (std::size_t p = 0; p < kParts; ++p) {
    const F32 v = hn::LoadU(d, rest + p * kLanes);
    hn::StoreU(hn::MulAdd(v, v, sum[p]), d, lanes + p * kLanes);
  }
  const float mean = tree_sum(lanes) / static_cast<float>(columns);
  map2(x, weight, count, out, Scale{1.0f / std::sqrt(mean + epsilon)});
}

HWY_ATTR void rotate_half(float* head, const float* cosines, const float* sines, std::int32_t half) {
  const hn::CappedTag<float, 8> d;
  for (std::int32_t j = 0; j < half; j += 8) {
    const auto u = hn::LoadU(d, head + j), v = hn::LoadU(d, head + half + j);
    const auto c = hn::LoadU(d, cosines + j), s = hn::LoadU(d, sines + j);
    hn::StoreU(hn::NegMulAdd(v, s, hn::Mul(u, c)), d, head + j);
    hn::StoreU(hn::MulAdd(u, s, hn::Mul(v, c)), d, head + half + j);
  }
}

#endif
}  // namespace HWY_NAMESPACE
}  // namespace assize::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assize::kernels {

void add(InstructionSet set, float* residual, const float* delta, std::size_t count) {
  set == InstructionSet::avx512 ? N_AVX3::add(residual, delta, count) : N_AVX2::add(residual, delta, count);
}

void rms_norm(InstructionSet set, const float* x, const float* weight, float epsilon, std::int32_t columns,
              float* out) {
  set == InstructionSet::avx512 ? N_AVX3::rms_norm(x, weight, epsilon, columns, out)
                                : N_AVX2::rms_norm(x, weight, epsilon, columns, out);
}

void swiglu(InstructionSet set, const float* gate_up, std::size_t count, float* out) {
  set == InstructionSet::avx512 ? N_AVX3::swiglu(gate_up, count, out) : N_AVX2::swiglu(gate_up, count, out);
}

void gelu(InstructionSet set, float* x, std::size_t count) {
  set == InstructionSet::avx512 ? N_AVX3::gelu(x, count) : N_AVX2::gelu(x, count);
}

void rotate_half(InstructionSet set, float* head, const float* cosines, const float* sines,
                 std::int32_t half) {
  set == InstructionSet::avx512 ? N_AVX3::rotate_half(head, cosines, sines, half)
                                : N_AVX2::rotate_half(head, cosines, sines, half);
}

}  // namespace assize::kernels
#endif
