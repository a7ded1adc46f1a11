// Instructions of single lanes: PTX ISA 9.0, chapters on integer, floating point, comparison, logic and
// conversion instructions. Compiled without contraction and with the rounding mode taken seriously.
#include <cfenv>
#include <cmath>
#include <limits>

#include "tests/cuda_emulation/ptx/lanes.h"

namespace assize::cuda_emulation::ptx {

namespace {

using u8 = std::uint8_t;
using s8 = std::int8_t;
using u16 = std::uint16_t;
using s16 = std::int16_t;
using u32 = std::uint32_t;
using s32 = std::int32_t;
using u64 = std::uint64_t;
using s64 = std::int64_t;
using f32 = float;
using f64 = double;

/// bf16 bits, round to nearest even; NaN becomes the canonical one.
u16 bf16(f32 x) {
  if (std::isnan(x)) return 0x7fff;
  u32 bits;
  std::memcpy(&bits, &x, sizeof bits);
  const u32 kept = bits >> 16, rest = bits & 0xffff;
  return static_cast<u16>(kept + (rest > 0x8000 || (rest == 0x8000 && (kept & 1))));
}

/// Conversion to an integer, toward zero, to the nearest representable value; NaN becomes 0.
template <class T, class F>
T saturated(F x) {
  if (std::isnan(x)) return 0;
  const F low = static_cast<F>(std::numeric_limits<T>::min());
  const F high = std::ldexp(F{1}, std::numeric_limits<T>::digits);
  if (x <= low) return std::numeric_limits<T>::min();
  if (x >= high) return std::numeric_limits<T>::max();
  return static_cast<T>(x);
}

template <class T>
T larger(T a, T b) {
  return std::isnan(a) ? b : std::isnan(b) ? a : a == b ? (std::signbit(a) ? b : a) : a > b ? a : b;
}

template <class T, class Wide>
void integers(Table& t, const std::string& name) {
  using U = std::make_unsigned_t<T>;
  t["add." + name] = lanewise<U, U>([](U a, U b) { return static_cast<U>(a + b); });
  t["sub." + name] = lanewise<U, U>([](U a, U b) { return static_cast<U>(a - b); });
  t["mul.lo." + name] = lanewise<U, U>([](U a, U b) { return static_cast<U>(a * b); });
  t["mad.lo." + name] = lanewise<U, U, U>([](U a, U b, U c) { return static_cast<U>(a * b + c); });
  t["neg." + name] = lanewise<U>([](U a) { return static_cast<U>(0 - a); });
  t["min." + name] = lanewise<T, T>([](T a, T b) { return b < a ? b : a; });
  t["max." + name] = lanewise<T, T>([](T a, T b) { return a < b ? b : a; });
  t["mul.hi." + name] =
      lanewise<T, T>([](T a, T b) { return static_cast<T>(Wide{a} * Wide{b} >> (8 * sizeof(T))); });
  t["div." + name] = lanewise<T, T>([](T a, T b) {
    return b == 0                    ? static_cast<T>(-1)
           : b == T(-1) && T(-1) < 0 ? static_cast<T>(U{0} - static_cast<U>(a))
                                     : static_cast<T>(a / b);
  });
  t["rem." + name] = lanewise<T, T>([](T a, T b) {
    return b == 0 ? a : b == T(-1) && T(-1) < 0 ? T{0} : static_cast<T>(a % b);
  });
  t["shr." + name] = lanewise<T, u32>([](T a, u32 n) {
    return n < 8 * sizeof(T) ? static_cast<T>(a >> n) : a < 0 ? static_cast<T>(-1) : T{0};
  });
}

template <class U>
void bits(Table& t, const std::string& size) {
  const auto b = ".b" + size;
  t["and" + b] = lanewise<U, U>([](U x, U y) { return static_cast<U>(x & y); });
  t["or" + b] = lanewise<U, U>([](U x, U y) { return static_cast<U>(x | y); });
  t["xor" + b] = lanewise<U, U>([](U x, U y) { return static_cast<U>(x ^ y); });
  t["not" + b] = lanewise<U>([](U x) { return static_cast<U>(~x); });
  t["shl" + b] =
      lanewise<U, u32>([](U x, u32 n) { return n < 8 * sizeof(U) ? static_cast<U>(x << n) : U{0}; });
  t["bfi" + b] = lanewise<U, U, u32, u32>([](U x, U y, u32 at, u32 count) {
    U result = y;
    for (u32 k = 0; k < (count & 255) && (at & 255) + k < 8 * sizeof(U); ++k) {
      const U bit = U{1} << ((at & 255) + k);
      result = (x >> k & 1) ? (result | bit) : (result & ~bit);
    }
    return result;
  });
  for (const char* kind : {".b", ".u", ".s", ".f"}) {
    t["mov" + (kind + size)] = lanewise<U>([](U x) { return x; });
    t["selp" + (kind + size)] = lanewise<U, U, u8>([](U x, U y, u8 p) { return p ? x : y; });
  }
}

template <class T>
void compare_integers(Table& t, const std::string& name) {
  t["setp.eq." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a == b; });
  t["setp.ne." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a != b; });
  t["setp.lt." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a < b; });
  t["setp.le." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a <= b; });
  t["setp.gt." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a > b; });
  t["setp.ge." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a >= b; });
}

template <class T>
void floats(Table& t, const std::string& name) {
  t["add.rn." + name] = lanewise<T, T>([](T a, T b) { return a + b; });
  t["sub.rn." + name] = lanewise<T, T>([](T a, T b) { return a - b; });
  t["mul.rn." + name] = lanewise<T, T>([](T a, T b) { return a * b; });
  t["div.rn." + name] = lanewise<T, T>([](T a, T b) { return a / b; });
  t["rcp.rn." + name] = lanewise<T>([](T a) { return T{1} / a; });
  t["sqrt.rn." + name] = lanewise<T>([](T a) { return std::sqrt(a); });
  t["fma.rn." + name] = lanewise<T, T, T>([](T a, T b, T c) { return std::fma(a, b, c); });
  t["neg." + name] = lanewise<T>([](T a) { return -a; });
  t["abs." + name] = lanewise<T>([](T a) { return std::fabs(a); });
  t["max." + name] = lanewise<T, T>([](T a, T b) { return larger(a, b); });
  t["min." + name] = lanewise<T, T>([](T a, T b) { return -larger(-a, -b); });
  t["copysign." + name] = lanewise<T, T>([](T sign, T value) { return std::copysign(value, sign); });
  compare_integers<T>(t, name);  // the same where neither is NaN, false (ne: see below) where one is
  t["setp.ne." + name] = lanewise<T, T>([](T a, T b) -> u8 { return a < b || a > b; });
  t["setp.equ." + name] = lanewise<T, T>([](T a, T b) -> u8 { return !(a < b || a > b); });
  t["setp.neu." + name] = lanewise<T, T>([](T a, T b) -> u8 { return !(a == b); });
  t["setp.ltu." + name] = lanewise<T, T>([](T a, T b) -> u8 { return !(a >= b); });
  t["setp.leu." + name] = lanewise<T, T>([](T a, T b) -> u8 { return !(a > b); });
  t["setp.gtu." + name] = lanewise<T, T>([](T a, T b) -> u8 { return !(a <= b); });
  t["setp.geu." + name] = lanewise<T, T>([](T a, T b) -> u8 { return !(a < b); });
}

/// Rounded down.
f32 fused_down(f32 a, f32 b, f32 c) {
  std::fesetround(FE_DOWNWARD);
  const volatile f32 x = a;  // keeps the product behind the change of mode
  const volatile f32 result = std::fma(x, b, c);
  std::fesetround(FE_TONEAREST);
  return result;
}

void conversions(Table& t) {
  t["cvt.s64.s32"] = lanewise<s32>([](s32 x) -> s64 { return x; });
  t["cvt.u64.u32"] = lanewise<u32>([](u32 x) -> u64 { return x; });
  t["cvt.u32.u64"] = lanewise<u64>([](u64 x) { return static_cast<u32>(x); });
  t["cvt.u32.u16"] = lanewise<u16>([](u16 x) -> u32 { return x; });
  t["cvt.s32.s8"] = lanewise<s8>([](s8 x) -> s32 { return x; });
  t["cvt.u16.u32"] = lanewise<u32>([](u32 x) { return static_cast<u16>(x); });
  t["cvt.rn.f32.s32"] = lanewise<s32>([](s32 x) { return static_cast<f32>(x); });
  t["cvt.rn.f32.u32"] = lanewise<u32>([](u32 x) { return static_cast<f32>(x); });
  t["cvt.rn.f64.u32"] = lanewise<u32>([](u32 x) { return static_cast<f64>(x); });
  t["cvt.rn.f64.s32"] = lanewise<s32>([](s32 x) { return static_cast<f64>(x); });
  t["cvt.rn.f64.u64"] = lanewise<u64>([](u64 x) { return static_cast<f64>(x); });
  t["cvt.f64.f32"] = lanewise<f32>([](f32 x) -> f64 { return x; });
  t["cvt.rn.f32.f64"] = lanewise<f64>([](f64 x) { return static_cast<f32>(x); });
  t["cvt.sat.f32.f32"] = lanewise<f32>([](f32 x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; });
  t["cvt.rzi.u64.f32"] = lanewise<f32>([](f32 x) { return saturated<u64>(x); });
  t["cvt.rzi.u64.f64"] = lanewise<f64>([](f64 x) { return saturated<u64>(x); });
  t["cvt.rzi.s32.f64"] = lanewise<f64>([](f64 x) { return saturated<s32>(x); });
  t["cvt.rni.f64.f64"] = lanewise<f64>([](f64 x) { return std::nearbyint(x); });
  t["cvt.rn.bf16.f32"] = lanewise<f32>([](f32 x) { return bf16(x); });
  t["cvt.rn.bf16x2.f32"] =
      lanewise<f32, f32>([](f32 high, f32 low) { return u32{bf16(high)} << 16 | bf16(low); });
  t["cvta.to.global.u64"] = lanewise<u64>([](u64 x) { return x; });
}

}  // namespace

void add_arithmetic(Table& t) {
  integers<u32, u64>(t, "u32");
  integers<s32, s64>(t, "s32");
  integers<u64, unsigned __int128>(t, "u64");
  integers<s64, __int128>(t, "s64");
  t["mul.wide.s32"] = lanewise<s32, s32>([](s32 a, s32 b) { return s64{a} * b; });
  t["mul.wide.u32"] = lanewise<u32, u32>([](u32 a, u32 b) { return u64{a} * b; });
  bits<u16>(t, "16");
  bits<u32>(t, "32");
  bits<u64>(t, "64");
  compare_integers<u16>(t, "u16");
  compare_integers<s16>(t, "s16");
  compare_integers<u32>(t, "u32");
  compare_integers<s32>(t, "s32");
  compare_integers<u32>(t, "b32");
  compare_integers<u64>(t, "u64");
  compare_integers<s64>(t, "s64");
  t["mov.pred"] = lanewise<u8>([](u8 x) -> u8 { return x != 0; });
  t["not.pred"] = lanewise<u8>([](u8 x) -> u8 { return !x; });
  t["and.pred"] = lanewise<u8, u8>([](u8 x, u8 y) -> u8 { return x & y; });
  t["or.pred"] = lanewise<u8, u8>([](u8 x, u8 y) -> u8 { return x | y; });
  t["xor.pred"] = lanewise<u8, u8>([](u8 x, u8 y) -> u8 { return x ^ y; });
  floats<f32>(t, "f32");
  floats<f64>(t, "f64");
  t["fma.rm.f32"] = lanewise<f32, f32, f32>([](f32 a, f32 b, f32 c) { return fused_down(a, b, c); });
  conversions(t);
  // Approximations: within the error that the manual allows them.
  t["ex2.approx.ftz.f32"] = lanewise<f32>([](f32 x) {
    const f32 y = std::exp2(x);
    return std::fpclassify(y) == FP_SUBNORMAL ? 0.0f : y;
  });
  t["rcp.approx.ftz.f64"] = lanewise<f64>([](f64 x) {  // the low 32 bits are 0
    const f64 y = 1 / x;
    u64 whole;
    std::memcpy(&whole, &y, sizeof y);
    whole &= 0xffffffff00000000u;
    f64 result;
    std::memcpy(&result, &whole, sizeof result);
    return result;
  });
  t["mov.b64:pack"] = lanewise<u32, u32>([](u32 low, u32 high) { return u64{high} << 32 | low; });
  t["mov.b32:pack"] = lanewise<u16, u16>([](u16 low, u16 high) { return u32{high} << 16 | low; });
}

}  // namespace assize::cuda_emulation::ptx
