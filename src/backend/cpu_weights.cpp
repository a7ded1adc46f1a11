#include "backend/cpu_weights.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace assize::backend {

namespace {

kernels::WeightType weight_type(const tensor::TensorView& weight) {
  switch (weight.dtype) {
    case tensor::DType::f32:
      return kernels::WeightType::f32;
    case tensor::DType::f16:
      return kernels::WeightType::f16;
    case tensor::DType::bf16:
      return kernels::WeightType::bf16;
    default:
      throw base::Error("tensor " + weight.name + " is of type " + std::string(tensor::name(weight.dtype)) +
                        "; a weight must be F32, F16 or BF16");
  }
}

void check_part(const LinearPart& part, const LinearPart& first) {
  const auto& weight = *part.weight;
  if (weight.shape.size() != 2 || part.row_begin < 0 || part.row_begin > part.row_end ||
      part.row_end > weight.shape[0])
    throw base::Error("tensor " + weight.name + " has shape " + tensor::shape_text(weight.shape) +
                      "; a matrix with rows [" + std::to_string(part.row_begin) + ", " +
                      std::to_string(part.row_end) + ") is needed");
  if (weight.dtype != first.weight->dtype || weight.shape[1] != first.weight->shape[1])
    throw base::Error("tensors " + first.weight->name + " and " + weight.name +
                      " go into one layer but differ in type or width; convert the checkpoint to one type");
  if (part.bias && (part.bias->shape.size() != 1 || part.bias->shape[0] != weight.shape[0]))
    throw base::Error("tensor " + part.bias->name + " has shape " + tensor::shape_text(part.bias->shape) +
                      "; expected [" + std::to_string(weight.shape[0]) + "]");
}

}  // namespace

std::unique_ptr<CpuLinear> pack_panels(std::span<const LinearPart> parts, std::int64_t k_begin,
                                       const kernels::Segments& segments, ThreadPool& pool, Arena& arena) {
  auto linear = std::make_unique<CpuLinear>();
  linear->type = weight_type(*parts.front().weight);
  linear->segments = segments;
  std::int64_t outputs = 0;
  bool has_bias = false;
  for (const auto& part : parts) {
    check_part(part, parts.front());
    outputs += part.row_end - part.row_begin;
    has_bias = has_bias || part.bias;
  }
  linear->in_features = static_cast<std::int32_t>(segments.total());
  linear->out_features = static_cast<std::int32_t>(outputs);
  linear->panel_bytes = kernels::panel_bytes(linear->type, segments);
  linear->panel_count = static_cast<int>((outputs + kernels::kPanelColumns - 1) / kernels::kPanelColumns);
  const std::size_t panels_bytes = linear->panel_bytes * static_cast<std::size_t>(linear->panel_count);
  linear->panels = arena.take(panels_bytes);
  if (has_bias) {
    linear->bias = Buffer(static_cast<std::size_t>(outputs) * sizeof(float));
    float* to = linear->bias.floats();
    for (const auto& part : parts) {
      const auto rows = static_cast<std::size_t>(part.row_end - part.row_begin);
      if (part.bias) tensor::copy_f32(*part.bias, static_cast<std::size_t>(part.row_begin), rows, to);
      to += rows;
    }
  }
  linear->bytes = panels_bytes + linear->bias.bytes();

  const std::size_t element = kernels::weight_bytes(linear->type);
  const auto width = static_cast<std::size_t>(parts.front().weight->shape[1]);
  const auto used_bytes = static_cast<std::size_t>(segments.total()) * element;
  pool.run(linear->panel_count, [&](int panel, int) {
    // The 16 rows of a panel may come from two or more parts: find each, copy them together where they do.
    const std::byte* rows[kernels::kPanelColumns];
    int columns = 0;
    std::int64_t first = std::int64_t{panel} * kernels::kPanelColumns, begin = 0;
    for (const auto& part : parts) {
      const std::int64_t size = part.row_end - part.row_begin;
      while (columns < kernels::kPanelColumns && first + columns < begin + size) {
        const auto row = static_cast<std::size_t>(part.row_begin + first + columns - begin);
        rows[columns++] = part.weight->data + (row * width + static_cast<std::size_t>(k_begin)) * element;
      }
      begin += size;
    }
    bool adjacent = true;
    for (int c = 1; c < columns; ++c) adjacent = adjacent && rows[c] == rows[c - 1] + width * element;
    void* to = linear->panels.get() + static_cast<std::size_t>(panel) * linear->panel_bytes;
    if (adjacent) {
      kernels::pack_panel(linear->type, rows[0], width, columns, segments, to);
    } else {
      std::vector<std::byte> copy(used_bytes * static_cast<std::size_t>(columns));
      for (int c = 0; c < columns; ++c)
        std::memcpy(copy.data() + static_cast<std::size_t>(c) * used_bytes, rows[c], used_bytes);
      kernels::pack_panel(linear->type, copy.data(), used_bytes / element, columns, segments, to);
    }
  });
  return linear;
}

}  // namespace assize::backend
