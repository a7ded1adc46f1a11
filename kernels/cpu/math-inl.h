// Included once per instruction set (no ordinary include guard): vectors of 16 virtual lanes, sums in registers and
// elementary functions. Everything is built from IEEE operations and explicit FMA, so the bits are the same everywhere.
#if defined(ASSIZE_KERNELS_MATH_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ASSIZE_KERNELS_MATH_INL
#undef ASSIZE_KERNELS_MATH_INL
#else
#define ASSIZE_KERNELS_MATH_INL
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"

/// For lambdas of inner loops: what is inlined and unrolled before anything else stays in registers with GCC 12.
#ifndef ASSIZE_INLINE_LAMBDA
#define ASSIZE_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))
#endif

HWY_BEFORE_NAMESPACE();
namespace assize::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

namespace hn = hwy::HWY_NAMESPACE;
using F32Tag = hn::ScalableTag<float>;
using F32 = hn::Vec<F32Tag>;
using I32Tag = hn::RebindToSigned<F32Tag>;
using U32Tag = hn::RebindToUnsigned<F32Tag>;

/// Lanes of the real vectors; `kVirtualLanes / kLanes` of them make one virtual vector.
inline constexpr std::size_t kLanes = HWY_TARGET == HWY_AVX3 ? 16 : 8;
inline constexpr std::size_t kVirtualLanes = 16;
inline constexpr std::size_t kParts = kVirtualLanes / kLanes;

template <class Body, int... kIndex>
HWY_INLINE HWY_ATTR void unroll(std::integer_sequence<int, kIndex...>, const Body& body) {
  (body(kIndex), ...);
}
/// body(0) … body(N - 1).
template <int N, class Body>
HWY_INLINE HWY_ATTR void unroll(const Body& body) {
  unroll(std::make_integer_sequence<int, N>{}, body);
}

/// sum += x * w, one fused multiply-add that stays in the register of `sum`: left to choose, GCC 12 puts the result
/// into that of x and keeps sums in memory, at two thirds of the speed.
HWY_INLINE HWY_ATTR void accumulate(F32& sum, F32 x, F32 w) {
#if HWY_TARGET == HWY_AVX2 && HWY_COMPILER_GCC_ACTUAL
  asm("vfmadd231ps %2, %1, %0" : "+x"(sum.raw) : "x"(x.raw), "x"(w.raw));
#else
  sum = hn::MulAdd(x, w, sum);
#endif
}

/// Sums of R rows and V vectors across.
template <int R, int V>
struct Accumulators {
  F32 v[R][V];
};

/// body(sum of row r and vector v, floats from the tile's first sum to it).
template <int R, int V, class Body>
HWY_INLINE HWY_ATTR void each_sum(Accumulators<R, V>& sum, std::size_t stride, const Body& body) {
  unroll<R>([&](int r) ASSIZE_INLINE_LAMBDA {
    unroll<V>([&](int v) ASSIZE_INLINE_LAMBDA {
      body(sum.v[r][v], static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(v) * kLanes);
    });
  });
}

/// sum[r][v] += x(r) * w(v). The side with fewer vectors is held in registers.
template <int R, int V, class X, class W>
HWY_INLINE HWY_ATTR void rank_one(Accumulators<R, V>& sum, const X& x, const W& w) {
  if constexpr (R < V) {
    F32 held[R];
    unroll<R>([&](int r) ASSIZE_INLINE_LAMBDA { held[r] = x(r); });
    unroll<V>([&](int v) ASSIZE_INLINE_LAMBDA {
      const F32 other = w(v);
      unroll<R>([&](int r) ASSIZE_INLINE_LAMBDA { accumulate(sum.v[r][v], held[r], other); });
    });
  } else {
    F32 held[V];
    unroll<V>([&](int v) ASSIZE_INLINE_LAMBDA { held[v] = w(v); });
    unroll<R>([&](int r) ASSIZE_INLINE_LAMBDA {
      const F32 other = x(r);
      unroll<V>([&](int v) ASSIZE_INLINE_LAMBDA { accumulate(sum.v[r][v], other, held[v]); });
    });
  }
}

/// Sum of 16 lanes by the tree that halves: (i) + (i + 8), then + 4, + 2, + 1.
inline HWY_ATTR float tree_sum(const float* lanes) {
  float eight[8], four[4];
  for (int i = 0; i < 8; ++i) eight[i] = lanes[i] + lanes[i + 8];
  for (int i = 0; i < 4; ++i) four[i] = eight[i] + eight[i + 4];
  return (four[0] + four[2]) + (four[1] + four[3]);
}

/// e^x for x <= 88.37: relative error below 2e-7 where the result is a normal number, exactly 1 at 0, 0 below -87.33; NaN
/// stays NaN. n = round(x / ln 2), 1 + r + r^2 P(r) with a Chebyshev fit P of (e^r - 1 - r) / r^2, r = x - n ln 2
/// (Cody-Waite).
inline HWY_ATTR F32 exp_below_88(F32 x) {
  const F32Tag d;
  const I32Tag di;
  // At 1.5 * 2^23 one unit in the last place is 1: the sum rounds to n, which then stands in its lowest bits. Where x is
  // so large that it does not, neither n nor what follows from it counts.
  const F32 shift = hn::Set(d, 12582912.0f);
  const F32 shifted = hn::Add(hn::Mul(x, hn::Set(d, 1.44269504088896341f)), shift);
  const F32 n = hn::Sub(shifted, shift);
  F32 r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  F32 p = hn::Set(d, 0.0013933645095676184f);
  p = hn::MulAdd(p, r, hn::Set(d, 0.008363177068531513f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.04166646674275398f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.16666576266288757f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto power = hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, shifted)), hn::Set(di, 127 << 23));  // bits of 2^n
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.33f)), hn::Mul(p, hn::BitCast(d, power)));
}

/// The same for any x: infinity above 88.37.
inline HWY_ATTR F32 exp_f32(F32 x) {
  const F32Tag d;
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.37f)), hn::Set(d, HUGE_VALF), exp_below_88(x));
}

/// x / (1 + e^-x): relative error below 4e-7 where |x| < 87; -0 below.
inline HWY_ATTR F32 silu_f32(F32 x) {
  const F32Tag d;
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), exp_f32(hn::Neg(x))));
}

#endif
}  // namespace HWY_NAMESPACE
}  // namespace assize::kernels
HWY_AFTER_NAMESPACE();

#endif
