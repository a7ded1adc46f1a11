#include "kernels/cpu/linear.h"

#include "hwy/cache_control.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/linear.cpp"
#include "hwy/foreach_target.h"
// clang-format off
#include "hwy/highway.h"
#include "kernels/cpu/math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace assize::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3

// A register tile is R rows of x times P panels; V = P * kParts vectors across. The accumulators, the weights
// of one k and a broadcast x fit the 16 (AVX2) or 32 (AVX-512) registers.

/// Panels of a tile with R rows.
constexpr int panels_for(int rows) {
  if (HWY_TARGET == HWY_AVX3)
    return rows <= 2 ? 8 : rows == 3 ? 6 : rows == 4 ? 5 : rows <= 6 ? 4 : rows <= 8 ? 3 : 2;
  return rows == 1 ? 4 : rows <= 3 ? 2 : 1;
}

/// Weights are asked for this far ahead in each panel: the panels are more streams than the hardware follows
/// well, and each is read once.
inline constexpr std::size_t kPrefetchBytes = 1024;

template <int R, int V>
struct Accumulators {
  F32 v[R][V];
};

template <int R, int V>
HWY_INLINE HWY_ATTR void clear(Accumulators<R, V>& sum) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum.v[r][v] = hn::Zero(F32Tag());
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

/// sum[r][v] += x[r] * w[v] for one k.
template <int R, int V>
HWY_INLINE HWY_ATTR void rank_one(Accumulators<R, V>& sum, const float* HWY_RESTRICT x, const F32 (&w)[V]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    const F32 broadcast = hn::Set(F32Tag(), x[r]);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) accumulate(sum.v[r][v], broadcast, w[v]);
  }
}

template <int P>
HWY_INLINE HWY_ATTR void prefetch(const std::byte* at, std::size_t panel_stride) {
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) hwy::Prefetch(at + p * panel_stride + kPrefetchBytes);
}

/// One segment of `length` k. `panel[p]` is the first weight of the segment in panel p.
template <WeightType kType, int R, int P>
HWY_INLINE HWY_ATTR void segment_sum(const float* HWY_RESTRICT x, const std::byte* HWY_RESTRICT panels,
                                     std::size_t panel_stride, std::int64_t length,
                                     Accumulators<R, P* static_cast<int>(kParts)>& sum) {
  constexpr int kV = P * static_cast<int>(kParts);
  const F32Tag d;
  clear(sum);
  if constexpr (kType == WeightType::bf16) {
    constexpr std::size_t kPairBytes = 2 * kPanelColumns * sizeof(std::uint16_t);
    const U32Tag du;
    const auto high = hn::Set(du, 0xFFFF0000u);
    std::int64_t k = 0;
    const auto pair_bits = [&](int v) HWY_ATTR {
      return hn::Load(du, reinterpret_cast<const std::uint32_t*>(panels + (v / kParts) * panel_stride) +
                              k / 2 * kPanelColumns + (v % kParts) * kLanes);
    };
    for (; k + 2 <= length; k += 2) {
      F32 w[kV];
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) w[v] = hn::BitCast(d, hn::ShiftLeft<16>(pair_bits(v)));
      rank_one(sum, x + k * R, w);
      prefetch<P>(panels + static_cast<std::size_t>(k / 2) * kPairBytes, panel_stride);
      HWY_FENCE;  // load the odd k again rather than hold all of it in registers
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) w[v] = hn::BitCast(d, hn::And(pair_bits(v), high));
      rank_one(sum, x + (k + 1) * R, w);
      HWY_FENCE;
    }
    if (k < length) {
      F32 w[kV];
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) w[v] = hn::BitCast(d, hn::ShiftLeft<16>(pair_bits(v)));
      rank_one(sum, x + k * R, w);
    }
  } else {
    for (std::int64_t k = 0; k < length; ++k) {
      F32 w[kV];
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) {
        const std::byte* panel = panels + (v / kParts) * panel_stride;
        const std::size_t offset = static_cast<std::size_t>(k) * kPanelColumns + (v % kParts) * kLanes;
        if constexpr (kType == WeightType::f32) {
          w[v] = hn::Load(d, reinterpret_cast<const float*>(panel) + offset);
        } else {
          const hn::Rebind<hwy::float16_t, F32Tag> dh;
          w[v] = hn::PromoteTo(d, hn::Load(dh, reinterpret_cast<const hwy::float16_t*>(panel) + offset));
        }
      }
      rank_one(sum, x + k * R, w);
      prefetch<P>(panels + static_cast<std::size_t>(k) * kPanelColumns * weight_bytes(kType), panel_stride);
    }
  }
}

template <int R, int V>
HWY_INLINE HWY_ATTR void store(const Accumulators<R, V>& sum, float (&to)[R][V * kLanes]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) hn::StoreU(sum.v[r][v], F32Tag(), to[r] + v * kLanes);
}

/// sum = from + sum.
template <int R, int V>
HWY_INLINE HWY_ATTR void add_to(const float (&from)[R][V * kLanes], Accumulators<R, V>& sum) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum.v[r][v] = hn::Add(hn::LoadU(F32Tag(), from[r] + v * kLanes), sum.v[r][v]);
}

template <WeightType kType, int R, int P>
HWY_NOINLINE HWY_ATTR void tile_product(const LinearTask& task, int first_panel) {
  constexpr int kV = P * static_cast<int>(kParts), kWidth = P * kPanelColumns;
  const std::byte* panels = task.panels + first_panel * task.panel_stride_bytes;
  const float* x = task.tile;
  Accumulators<R, kV> sum;
  float halves[2][R][kWidth];  // sums of segment 0, then of 0 + 1; sum of segment 2
  for (int s = 0; s < task.segments.count; ++s) {
    const std::int64_t length = task.segments.length[s];
    segment_sum<kType, R, P>(x, panels, task.panel_stride_bytes, length, sum);
    x += length * R;
    panels +=
        (kType == WeightType::bf16 ? (length + 1) / 2 * 2 : length) * kPanelColumns * weight_bytes(kType);
    if (s % 2 == 1) add_to<R, kV>(halves[s / 2], sum);
    if (s == 3) add_to<R, kV>(halves[0], sum);
    if (s + 1 < task.segments.count) store<R, kV>(sum, halves[s / 2]);
  }
  const int first = first_panel * kPanelColumns;
  const int width = task.columns - first < kWidth ? task.columns - first : kWidth;
  if (width == kWidth && task.rows == R) {
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) {
      const F32 bias = task.bias ? hn::LoadU(F32Tag(), task.bias + first + v * kLanes) : hn::Zero(F32Tag());
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
        hn::StoreU(task.bias ? hn::Add(sum.v[r][v], bias) : sum.v[r][v], F32Tag(),
                   task.y + r * task.y_stride + first + v * kLanes);
    }
    return;
  }
  store<R, kV>(sum, halves[0]);
  for (int r = 0; r < task.rows; ++r)
    for (int c = 0; c < width; ++c)
      task.y[r * task.y_stride + first + c] =
          task.bias ? halves[0][r][c] + task.bias[first + c] : halves[0][r][c];
}

template <WeightType kType, int R>
HWY_ATTR void rows_product(const LinearTask& task) {
  constexpr int kP = panels_for(R);
  int panel = 0;
  for (; panel + kP <= task.panel_count; panel += kP) tile_product<kType, R, kP>(task, panel);
  if constexpr (kP > 4)
    for (; panel + 4 <= task.panel_count; panel += 4) tile_product<kType, R, 4>(task, panel);
  if constexpr (kP > 2)
    for (; panel + 2 <= task.panel_count; panel += 2) tile_product<kType, R, 2>(task, panel);
  for (; panel < task.panel_count; ++panel) tile_product<kType, R, 1>(task, panel);
}

template <WeightType kType>
HWY_ATTR void typed_product(const LinearTask& task) {
  switch (task.padded_rows) {
    case 1:
      return rows_product<kType, 1>(task);
    case 2:
      return rows_product<kType, 2>(task);
    case 3:
      return rows_product<kType, 3>(task);
    case 4:
      return rows_product<kType, 4>(task);
    case 6:
      return rows_product<kType, 6>(task);
#if HWY_TARGET == HWY_AVX3
    case 8:
      return rows_product<kType, 8>(task);
    case 12:
      return rows_product<kType, 12>(task);
#endif
  }
}

HWY_ATTR void linear(const LinearTask& task) {
  switch (task.type) {
    case WeightType::f32:
      return typed_product<WeightType::f32>(task);
    case WeightType::f16:
      return typed_product<WeightType::f16>(task);
    case WeightType::bf16:
      return typed_product<WeightType::bf16>(task);
  }
}

#endif
}  // namespace HWY_NAMESPACE
}  // namespace assize::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace assize::kernels {

int tile_panels(InstructionSet set, int padded) {
  return set == InstructionSet::avx512 ? N_AVX3::panels_for(padded) : N_AVX2::panels_for(padded);
}

void linear(InstructionSet set, const LinearTask& task) {
  set == InstructionSet::avx512 ? N_AVX3::linear(task) : N_AVX2::linear(task);
}

}  // namespace assize::kernels
#endif
