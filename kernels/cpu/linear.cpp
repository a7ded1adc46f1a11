#include "kernels/cpu/linear.h"

#include <algorithm>
#include <cstring>

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

/// Most k of a block when several tiles share a panel: a tile's part of x and the panel's stay in the first-level cache
/// together, the block's part of x in the second.
inline constexpr std::int64_t kBlockK = 640;

/// From so many tiles on, panels are converted to fp32 a block of k at a time, this many weights. Converting for each tile
/// anew costs a sixth more instructions, which shows as soon as a neighbour on the core's other hardware thread takes its
/// share of them. AVX-512 needs fewer in the first place.
inline constexpr int kUnpackTiles = 8, kUnpackedWeights = 320 * kPanelColumns;

/// With one tile, each weight is read once: it is asked for this far ahead in its own panel, since the panels are more
/// streams than the hardware follows well.
constexpr std::size_t prefetch_bytes(int panels) { return panels == 1 ? 4096 : 1024; }

/// How the weights of a product lie: as stored, or fp32 [k][16].
enum class Source { stored, unpacked };

/// k of one step of the loop over k, and the most of them.
inline constexpr int kMostStepK = 8;
template <WeightType kType, Source kSource>
inline constexpr int kStepK = kSource == Source::unpacked ? kMostStepK : kType == WeightType::bf16 ? 2 : 1;

#if HWY_TARGET == HWY_AVX2  // eight lanes suffice to move numbers
/// Columns of an 8 x 8 matrix of rows.
HWY_INLINE HWY_ATTR void transpose(F32 (&row)[8]) {
  const F32Tag d;
  const hn::Repartition<double, F32Tag> dd;
  F32 twos[8], fours[8];
  unroll<4>([&](int i) ASSIZE_INLINE_LAMBDA {
    twos[2 * i] = hn::InterleaveLower(d, row[2 * i], row[2 * i + 1]);
    twos[2 * i + 1] = hn::InterleaveUpper(d, row[2 * i], row[2 * i + 1]);
  });
  unroll<4>([&](int i) ASSIZE_INLINE_LAMBDA {
    const auto low = hn::BitCast(dd, twos[i / 2 * 4 + i % 2]), high = hn::BitCast(dd, twos[i / 2 * 4 + i % 2 + 2]);
    fours[i / 2 * 4 + i % 2 * 2] = hn::BitCast(d, hn::InterleaveLower(dd, low, high));
    fours[i / 2 * 4 + i % 2 * 2 + 1] = hn::BitCast(d, hn::InterleaveUpper(dd, low, high));
  });
  unroll<4>([&](int i) ASSIZE_INLINE_LAMBDA {
    row[i] = hn::ConcatLowerLower(d, fours[i + 4], fours[i]);
    row[i + 4] = hn::ConcatUpperUpper(d, fours[i + 4], fours[i]);
  });
}

HWY_ATTR void pack_rows(const float* x, std::size_t stride, int rows, int padded, std::int64_t k, float* tile) {
  constexpr int kLanesOfK = 8;
  const F32Tag d;
  std::int64_t done = 0;
  if (padded == 1) {
    std::memcpy(tile, x, static_cast<std::size_t>(k) * sizeof(float));
    return;
  }
  // A store of eight rows runs into the next k, or beyond the tile: the next store mends the first, and the last k are
  // left to the loop below.
  const std::int64_t slack = (kLanesOfK + padded - 1) / padded;
  for (; done + kLanesOfK + slack <= k; done += kLanesOfK) {
    F32 column[2][8];
    const int parts = padded > kLanesOfK ? 2 : 1;
    for (int p = 0; p < parts; ++p) {
      for (int r = 0; r < kLanesOfK; ++r) {
        const int row = p * kLanesOfK + r;
        column[p][r] = row < rows ? hn::LoadU(d, x + static_cast<std::size_t>(row) * stride + done) : hn::Zero(d);
      }
      transpose(column[p]);
    }
    for (int i = 0; i < kLanesOfK; ++i)
      for (int p = 0; p < parts; ++p) hn::StoreU(column[p][i], d, tile + (done + i) * padded + p * kLanesOfK);
  }
  for (; done < k; ++done) {
    for (int r = 0; r < rows; ++r) tile[done * padded + r] = x[static_cast<std::size_t>(r) * stride + static_cast<std::size_t>(done)];
    for (int r = rows; r < padded; ++r) tile[done * padded + r] = 0.0f;
  }
}
#endif

/// A range of k within one segment; `length` < 0 after the last one.
struct Block {
  int segment = 0;
  std::int64_t first = 0, length = 0;  ///< within the segment
  std::int64_t k = 0;                  ///< first k of all
  std::size_t bytes = 0;               ///< of a panel's weights before it
  bool is_last = true;
};

/// Equal parts of what is left of a segment, the first ones whole steps of the loop over k: a short last block would cost as
/// much as a long one.
inline void set_length(const Segments& segments, std::int64_t most, Block& block) {
  const std::int64_t left = segments.length[block.segment] - block.first;
  const std::int64_t parts = left > most ? (left + most - 1) / most : 1;
  block.length = parts > 1 ? std::min(most, (left / parts + kMostStepK - 1) / kMostStepK * kMostStepK) : left;
  block.is_last = block.length == left;
}

inline Block first_block(const Segments& segments, std::int64_t most) {
  Block block;
  set_length(segments, most, block);
  return block;
}

template <WeightType kType>
Block next_block(const Segments& segments, std::int64_t most, Block block) {
  const std::int64_t stored = kType == WeightType::bf16 ? (block.length + 1) / 2 * 2 : block.length;
  block.bytes += static_cast<std::size_t>(stored) * kPanelColumns * weight_bytes(kType);
  block.k += block.length;
  block.first += block.length;
  if (block.is_last) {
    if (++block.segment == segments.count) {
      block.length = -1;
      return block;
    }
    block.first = 0;
  }
  set_length(segments, most, block);
  return block;
}

/// Where sums of a tile stand: rows `stride` floats apart.
struct Sums {
  float* at = nullptr;
  std::size_t stride = 0;
};

/// One tile of x times a few panels over one block of k: to = (from or 0) + x w, then + add[0], + add[1], + bias.
struct TileTask {
  const float* x;
  const std::byte* panels;
  std::size_t panel_stride;
  std::int64_t length;
  const std::byte* ahead;   ///< what to have in the cache soon; `ahead_step` bytes further with each step of the loop
  std::size_t ahead_step, ahead_stride;
  int rows, columns;
  Sums from, add[2], to;
  const float* bias;
};

template <WeightType kType, Source kSource, int R, int P>
HWY_INLINE HWY_ATTR void add_products(const TileTask& task, Accumulators<R, P* static_cast<int>(kParts)>& sum) {
  const F32Tag d;
  const std::byte* HWY_RESTRICT at = task.panels;  // moves on through the first panel; the others are `stride` further
  const float* HWY_RESTRICT x = task.x;
  const std::size_t stride = task.panel_stride;
  const auto value = [&](int r) ASSIZE_INLINE_LAMBDA { return hn::Set(d, x[r]); };
  const auto vector_at = [&](int v, std::size_t bytes) ASSIZE_INLINE_LAMBDA {
    return at + static_cast<std::size_t>(v / static_cast<int>(kParts)) * stride +
           static_cast<std::size_t>(v % static_cast<int>(kParts)) * kLanes * bytes;
  };
  const std::byte* ahead = task.ahead;
  const std::size_t ahead_stride = task.ahead_stride, ahead_step = task.ahead_step;
  const auto ask_ahead = [&] ASSIZE_INLINE_LAMBDA {
    unroll<P>([&](int p) ASSIZE_INLINE_LAMBDA { __builtin_prefetch(ahead + static_cast<std::size_t>(p) * ahead_stride, 0, 2); });
    ahead += ahead_step;
  };
  if constexpr (kSource == Source::unpacked) {
    constexpr int kSteps = kStepK<kType, kSource>, kStepBytes = kPanelColumns * static_cast<int>(sizeof(float));
    const auto step = [&](int k) ASSIZE_INLINE_LAMBDA {
      rank_one(sum, [&](int r) ASSIZE_INLINE_LAMBDA { return hn::Set(d, x[k * R + r]); },
               [&](int v) ASSIZE_INLINE_LAMBDA { return hn::Load(d, reinterpret_cast<const float*>(vector_at(v, 4) + k * kStepBytes)); });
    };
    std::int64_t left = task.length;
    for (; left >= kSteps; left -= kSteps, x += kSteps * R, at += kSteps * kStepBytes) {
      ask_ahead();
      unroll<kSteps>(step);
    }
    for (; left > 0; --left, x += R, at += kStepBytes) step(0);
  } else if constexpr (kType == WeightType::bf16) {
    const U32Tag du;
    const auto high = hn::Set(du, 0xFFFF0000u);
    const auto pair = [&](int v) ASSIZE_INLINE_LAMBDA { return hn::Load(du, reinterpret_cast<const std::uint32_t*>(vector_at(v, 4))); };
    const auto even = [&](int v) ASSIZE_INLINE_LAMBDA { return hn::BitCast(d, hn::ShiftLeft<16>(pair(v))); };
    const auto odd = [&](int v) ASSIZE_INLINE_LAMBDA {
      // A mask is one register too many for three rows of AVX2.
      if constexpr (R == 3 && P == 2 && kParts == 2) return hn::BitCast(d, hn::ShiftLeft<16>(hn::ShiftRight<16>(pair(v))));
      return hn::BitCast(d, hn::And(pair(v), high));
    };
    for (std::int64_t pairs = task.length / 2; pairs > 0; --pairs) {
      rank_one(sum, value, even);
      x += R;
      ask_ahead();
      asm("" : "+r"(at));  // load the odd k again rather than hold all of it in registers
      rank_one(sum, value, odd);
      x += R;
      at += 2 * kPanelColumns * sizeof(std::uint16_t);
    }
    if (task.length % 2 == 1) rank_one(sum, value, even);
  } else {
    const auto weight = [&](int v) ASSIZE_INLINE_LAMBDA {
      if constexpr (kType == WeightType::f32) {
        return hn::Load(d, reinterpret_cast<const float*>(vector_at(v, 4)));
      } else {
        const hn::Rebind<hwy::float16_t, F32Tag> dh;
        return hn::PromoteTo(d, hn::Load(dh, reinterpret_cast<const hwy::float16_t*>(vector_at(v, 2))));
      }
    };
    for (std::int64_t k = 0; k < task.length; ++k) {
      ask_ahead();
      rank_one(sum, value, weight);
      at += kPanelColumns * weight_bytes(kType);
      x += R;
    }
  }
}

/// P panels and all R rows of a tile.
template <WeightType kType, Source kSource, int R, int P>
HWY_NOINLINE HWY_ATTR void whole_product(const TileTask& task) {
  const F32Tag d;
  Accumulators<R, P * static_cast<int>(kParts)> sum;
  if (task.from.at) {
    each_sum(sum, task.from.stride, [&](F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { s = hn::LoadU(d, task.from.at + at); });
  } else {
    each_sum(sum, 0, [&](F32& s, std::size_t) ASSIZE_INLINE_LAMBDA { s = hn::Zero(d); });
  }
  add_products<kType, kSource, R, P>(task, sum);
  for (const Sums& add : task.add)
    if (add.at)
      each_sum(sum, add.stride, [&](F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { s = hn::Add(hn::LoadU(d, add.at + at), s); });
  if (task.bias)
    each_sum(sum, 0, [&](F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { s = hn::Add(s, hn::LoadU(d, task.bias + at)); });
  float* const to = task.to.at;
  each_sum(sum, task.to.stride, [&](const F32& s, std::size_t at) ASSIZE_INLINE_LAMBDA { hn::StoreU(s, d, to + at); });
}

/// A tile at the edge of y: works on copies that have room for all rows and panels.
template <WeightType kType, Source kSource, int R, int P>
HWY_NOINLINE HWY_ATTR void edge_product(const TileTask& task) {
  constexpr int kWidth = P * kPanelColumns;
  float copies[5][R * kWidth] = {};
  const int columns = task.columns < kWidth ? task.columns : kWidth;
  const auto copy = [&](const Sums& sums, float* to) {
    if (!sums.at) return Sums{};
    for (int r = 0; r < task.rows; ++r)
      for (int c = 0; c < columns; ++c) to[r * kWidth + c] = sums.at[r * sums.stride + c];
    return Sums{to, kWidth};
  };
  TileTask whole = task;
  whole.from = copy(task.from, copies[0]);
  whole.add[0] = copy(task.add[0], copies[1]);
  whole.add[1] = copy(task.add[1], copies[2]);
  whole.to = {copies[3], kWidth};
  if (task.bias) {
    for (int c = 0; c < columns; ++c) copies[4][c] = task.bias[c];
    whole.bias = copies[4];
  }
  whole_product<kType, kSource, R, P>(whole);
  for (int r = 0; r < task.rows; ++r)
    for (int c = 0; c < columns; ++c) task.to.at[r * task.to.stride + c] = copies[3][r * kWidth + c];
}

/// The next P panels; `task` moves on to those after them.
template <WeightType kType, Source kSource, int R, int P>
HWY_INLINE HWY_ATTR void panels_product(TileTask& task) {
  constexpr int kWidth = P * kPanelColumns;
  if (task.columns >= kWidth && task.rows == R) {
    whole_product<kType, kSource, R, P>(task);
  } else {
    edge_product<kType, kSource, R, P>(task);
  }
  for (Sums* sums : {&task.from, &task.add[0], &task.add[1], &task.to})
    if (sums->at) sums->at += kWidth;
  if (task.bias) task.bias += kWidth;
  task.panels += P * task.panel_stride;
  task.ahead += P * task.ahead_stride;
  task.columns -= kWidth;
}

template <WeightType kType, Source kSource, int R>
HWY_ATTR void rows_product(const TileTask& whole, int panel_count) {
  constexpr int kP = panels_for(R);
  if (panel_count == kP && whole.columns >= kP * kPanelColumns && whole.rows == R) return whole_product<kType, kSource, R, kP>(whole);
  TileTask task = whole;
  int left = panel_count;
  for (; left >= kP; left -= kP) panels_product<kType, kSource, R, kP>(task);
  if constexpr (kP > 4)
    for (; left >= 4; left -= 4) panels_product<kType, kSource, R, 4>(task);
  if constexpr (kP > 2)
    for (; left >= 2; left -= 2) panels_product<kType, kSource, R, 2>(task);
  for (; left > 0; --left) panels_product<kType, kSource, R, 1>(task);
}

template <WeightType kType, Source kSource>
HWY_ATTR void typed_product(const TileTask& task, int padded_rows, int panel_count) {
  switch (padded_rows) {
    case 1:
      return rows_product<kType, kSource, 1>(task, panel_count);
    case 2:
      return rows_product<kType, kSource, 2>(task, panel_count);
    case 3:
      return rows_product<kType, kSource, 3>(task, panel_count);
    case 4:
      return rows_product<kType, kSource, 4>(task, panel_count);
    case 5:
      return rows_product<kType, kSource, 5>(task, panel_count);
    case 6:
      return rows_product<kType, kSource, 6>(task, panel_count);
#if HWY_TARGET == HWY_AVX3
    case 8:
      return rows_product<kType, kSource, 8>(task, panel_count);
    case 12:
      return rows_product<kType, kSource, 12>(task, panel_count);
#endif
  }
}

/// Where the sums of one block from `panel` on come from and go to, for the first of `rows` rows: segments 0 and 0 + 1 are
/// summed in y, 1 and 3 in the first half of the scratch, 2 in the second.
HWY_ATTR void set_sums(const LinearTask& task, const Block& block, int panel, int rows, TileTask& tile) {
  const std::size_t column = static_cast<std::size_t>(panel) * kPanelColumns, width = static_cast<std::size_t>(task.panel_count) * kPanelColumns;
  const bool is_split = task.segments.count > 1;
  const Sums y{task.y + column, task.y_stride}, first{is_split ? task.scratch + column : nullptr, width},
      second{is_split ? first.at + static_cast<std::size_t>(rows) * width : nullptr, width};
  const Sums own = block.segment == 0 ? y : block.segment == 2 ? second : first;
  const bool is_added = block.is_last && block.segment % 2 == 1;
  tile.columns = task.columns - panel * kPanelColumns;
  tile.from = block.first == 0 ? Sums{} : own;
  tile.add[0] = is_added && block.segment == 3 ? second : Sums{};
  tile.add[1] = is_added ? y : Sums{};
  tile.to = is_added ? y : own;
  tile.bias = task.bias && block.is_last && block.segment + 1 == task.segments.count ? task.bias + column : nullptr;
}

/// out [length][16] = the weights of one panel from `panel` on.
template <WeightType kType>
HWY_ATTR void unpack(const std::byte* panel, std::int64_t length, float* HWY_RESTRICT out) {
  const F32Tag d;
  if constexpr (kType == WeightType::f32) {
    std::memcpy(out, panel, static_cast<std::size_t>(length) * kPanelColumns * sizeof(float));
  } else if constexpr (kType == WeightType::f16) {
    const hn::Rebind<hwy::float16_t, F32Tag> dh;
    const auto* from = reinterpret_cast<const hwy::float16_t*>(panel);
    for (std::int64_t i = 0; i < length * kPanelColumns; i += static_cast<std::int64_t>(kLanes))
      hn::Store(hn::PromoteTo(d, hn::Load(dh, from + i)), d, out + i);
  } else {
    const U32Tag du;
    const auto high = hn::Set(du, 0xFFFF0000u);
    const auto* from = reinterpret_cast<const std::uint32_t*>(panel);
    for (std::int64_t k = 0; k < length; k += 2, from += kPanelColumns, out += 2 * kPanelColumns)
      for (std::size_t i = 0; i < kPanelColumns; i += kLanes) {
        const auto pair = hn::Load(du, from + i);
        hn::Store(hn::BitCast(d, hn::ShiftLeft<16>(pair)), d, out + i);
        hn::Store(hn::BitCast(d, hn::And(pair, high)), d, out + kPanelColumns + i);
      }
  }
}

/// One tile: every panel is read once, as it is stored.
template <WeightType kType>
HWY_ATTR void multiply_tile(const LinearTask& task) {
  const RowTile& x = task.tiles[0];
  const int group = panels_for(x.padded_rows);
  TileTask tile = {};
  tile.panel_stride = tile.ahead_stride = task.panel_stride_bytes;
  tile.ahead_step = kStepK<kType, Source::stored> * kPanelColumns * weight_bytes(kType);
  tile.rows = x.rows;
  for (int panel = 0; panel < task.panel_count; panel += group)
    for (Block block = first_block(task.segments, INT64_MAX); block.length >= 0; block = next_block<kType>(task.segments, INT64_MAX, block)) {
      tile.x = x.x + block.k * x.padded_rows;
      tile.panels = task.panels + static_cast<std::size_t>(panel) * task.panel_stride_bytes + block.bytes;
      tile.ahead = tile.panels + prefetch_bytes(group);
      tile.length = block.length;
      set_sums(task, block, panel, x.rows, tile);
      typed_product<kType, Source::stored>(tile, x.padded_rows, std::min(group, task.panel_count - panel));
    }
}

/// Several tiles: blocks of k, panels, tiles, so that all tiles find a panel's block in the cache.
template <WeightType kType, Source kSource>
HWY_ATTR void multiply_tiles(const LinearTask& task) {
  constexpr bool kUnpacks = kSource == Source::unpacked;
  HWY_ALIGN float unpacked[kUnpacks ? kUnpackedWeights + kPanelColumns : 1];  // an odd block of bf16 writes one k too many
  const int group = panels_for(task.tiles[0].padded_rows);
  const std::int64_t most = kUnpacks ? kUnpackedWeights / kPanelColumns / group : kBlockK;
  const auto tiles = static_cast<std::size_t>(task.tile_count);
  int rows = 0;
  for (int t = 0; t < task.tile_count; ++t) rows += task.tiles[t].rows;

  TileTask tile = {};
  tile.panel_stride = kUnpacks ? static_cast<std::size_t>(most) * kPanelColumns * sizeof(float) : task.panel_stride_bytes;
  tile.ahead_stride = task.panel_stride_bytes;
  for (Block block = first_block(task.segments, most), next; block.length >= 0; block = next) {
    next = next_block<kType>(task.segments, most, block);
    const std::size_t steps = std::max<std::size_t>(1, static_cast<std::size_t>(block.length / kStepK<kType, kSource>));
    tile.ahead_step = (next.bytes - block.bytes + tiles * steps - 1) / (tiles * steps);
    tile.length = block.length;
    for (int panel = 0; panel < task.panel_count; panel += group) {
      const int panel_count = std::min(group, task.panel_count - panel);
      const auto panel_at = [&](int p, const Block& b) { return task.panels + static_cast<std::size_t>(p) * task.panel_stride_bytes + b.bytes; };
      if constexpr (kUnpacks)
        for (int p = 0; p < panel_count; ++p) unpack<kType>(panel_at(panel + p, block), block.length, unpacked + p * most * kPanelColumns);
      const std::byte* const panels = kUnpacks ? reinterpret_cast<const std::byte*>(unpacked) : panel_at(panel, block);
      // The tiles ask for the next panels together, behind the last ones for the next block of the first.
      const std::byte* soon = panel + group < task.panel_count ? panel_at(panel + group, block)
                              : next.length >= 0               ? panel_at(0, next)
                                                               : panel_at(task.panel_count, Block{});
      set_sums(task, block, panel, rows, tile);
      for (int t = 0; t < task.tile_count; ++t, soon += steps * tile.ahead_step) {
        const RowTile& x = task.tiles[t];
        tile.x = x.x + block.k * x.padded_rows;
        tile.panels = panels;
        tile.ahead = soon;
        tile.rows = x.rows;
        typed_product<kUnpacks ? WeightType::f32 : kType, kSource>(tile, x.padded_rows, panel_count);
        for (Sums* sums : {&tile.from, &tile.add[0], &tile.add[1], &tile.to})
          if (sums->at) sums->at += static_cast<std::size_t>(x.rows) * sums->stride;
      }
    }
  }
}

template <WeightType kType>
HWY_ATTR void typed_linear(const LinearTask& task) {
#if HWY_TARGET == HWY_AVX2
  if (task.tile_count >= kUnpackTiles) return multiply_tiles<kType, Source::unpacked>(task);
#endif
  task.tile_count > 1 ? multiply_tiles<kType, Source::stored>(task) : multiply_tile<kType>(task);
}

HWY_ATTR void linear(const LinearTask& task) {
  switch (task.type) {
    case WeightType::f32:
      return typed_linear<WeightType::f32>(task);
    case WeightType::f16:
      return typed_linear<WeightType::f16>(task);
    case WeightType::bf16:
      return typed_linear<WeightType::bf16>(task);
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

std::size_t linear_scratch_floats(const Segments& segments, int rows, int panel_count) {
  return segments.count == 1 ? 0
                             : std::size_t{2} * static_cast<std::size_t>(rows) *
                                   static_cast<std::size_t>(panel_count) * kPanelColumns;
}

void pack_rows(const float* x, std::size_t stride, int rows, int padded, std::int64_t k, float* tile) {
  N_AVX2::pack_rows(x, stride, rows, padded, k, tile);
}

void linear(InstructionSet set, const LinearTask& task) {
  set == InstructionSet::avx512 ? N_AVX3::linear(task) : N_AVX2::linear(task);
}

}  // namespace assize::kernels
#endif
