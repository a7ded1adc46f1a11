#include <cstring>

#include "kernels/cpu/linear.h"

namespace assize::kernels {

namespace {

std::size_t segment_bytes(WeightType type, std::int64_t length) {
  const std::size_t stored =
      static_cast<std::size_t>(type == WeightType::bf16 ? (length + 1) / 2 * 2 : length);
  return stored * kPanelColumns * weight_bytes(type);
}

template <typename T>
void pack_plain(const T* weight, std::size_t row_stride, int columns, std::int64_t length, T* out) {
  for (std::int64_t k = 0; k < length; ++k)
    for (int c = 0; c < kPanelColumns; ++c)
      out[k * kPanelColumns + c] = c < columns ? weight[static_cast<std::size_t>(c) * row_stride + k] : T{0};
}

void pack_pairs(const std::uint16_t* weight, std::size_t row_stride, int columns, std::int64_t length,
                std::uint16_t* out) {
  std::memset(out, 0, segment_bytes(WeightType::bf16, length));
  for (int c = 0; c < columns; ++c) {
    const std::uint16_t* row = weight + static_cast<std::size_t>(c) * row_stride;
    for (std::int64_t k = 0; k < length; ++k) out[(k / 2 * kPanelColumns + c) * 2 + k % 2] = row[k];
  }
}

}  // namespace

std::size_t panel_bytes(WeightType type, const Segments& segments) {
  std::size_t bytes = 0;
  for (int s = 0; s < segments.count; ++s) bytes += segment_bytes(type, segments.length[s]);
  return bytes;
}

void pack_panel(WeightType type, const void* weight, std::size_t row_stride, int columns,
                const Segments& segments, void* panel) {
  auto* from = static_cast<const std::byte*>(weight);
  auto* to = static_cast<std::byte*>(panel);
  for (int s = 0; s < segments.count; ++s) {
    const std::int64_t length = segments.length[s];
    if (type == WeightType::f32)
      pack_plain(reinterpret_cast<const float*>(from), row_stride, columns, length,
                 reinterpret_cast<float*>(to));
    else if (type == WeightType::f16)
      pack_plain(reinterpret_cast<const std::uint16_t*>(from), row_stride, columns, length,
                 reinterpret_cast<std::uint16_t*>(to));
    else
      pack_pairs(reinterpret_cast<const std::uint16_t*>(from), row_stride, columns, length,
                 reinterpret_cast<std::uint16_t*>(to));
    from += static_cast<std::size_t>(length) * weight_bytes(type);
    to += segment_bytes(type, length);
  }
}

int next_tile_rows(InstructionSet set, int remaining, int* padded) {
  int rows;
  if (set == InstructionSet::avx512) {
    rows = remaining <= 12 ? remaining : 8;
    *padded = rows <= 6 ? rows : rows <= 8 ? 8 : 12;
  } else {
    rows = remaining <= 6 ? remaining : remaining <= 8 ? 4 : 6;
    *padded = rows;
  }
  return rows;
}

}  // namespace assize::kernels
