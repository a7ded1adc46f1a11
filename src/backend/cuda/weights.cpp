#include "backend/cuda/weights.h"

#include <algorithm>

#include "base/error.h"
#include "tensor/dtype.h"

namespace assize::backend::cuda {

namespace {

void check_part(const LinearPart& part, std::int64_t columns) {
  const tensor::TensorView& weight = *part.weight;
  if (weight.shape.size() != 2 || !tensor::is_float(weight.dtype)) {
    throw base::Error("tensor " + weight.name + " of type " + std::string(tensor::name(weight.dtype)) + " and shape " +
                      tensor::shape_text(weight.shape) + " cannot be the weight of a linear layer; F32, F16 or BF16 "
                      "of two dimensions is needed");
  }
  const bool rows_fit = part.row_begin >= 0 && part.row_begin <= part.row_end && part.row_end <= weight.shape[0];
  if (!rows_fit || weight.shape[1] != columns) {
    throw base::Error("rows " + std::to_string(part.row_begin) + " to " + std::to_string(part.row_end) + " of tensor " +
                      weight.name + " of shape " + tensor::shape_text(weight.shape) + " do not fit a layer of " +
                      std::to_string(columns) + " columns");
  }
}

/// `count` stored values from `first` on as bf16; what is stored so is copied as it is.
void copy_bf16(const tensor::TensorView& from, std::size_t first, std::size_t count, Bf16* to) {
  if (from.dtype == tensor::DType::bf16 && (first + count) * sizeof(Bf16) <= from.bytes) {
    std::memcpy(to, from.data + first * sizeof(Bf16), count * sizeof(Bf16));
    return;
  }
  float values[512];
  for (std::size_t i = 0; i < count; i += 512) {
    const std::size_t part = std::min<std::size_t>(512, count - i);
    tensor::copy_f32(from, first + i, part, values);
    std::transform(values, values + part, to + i, tensor::f32_to_bf16);
  }
}

}  // namespace

std::unique_ptr<CudaLinear> pack(Queue& queue, std::span<const LinearPart> parts, std::int64_t column_begin,
                                 std::int64_t columns) {
  auto linear = std::make_unique<CudaLinear>();
  const tensor::TensorView& first = *parts.front().weight;
  const std::int64_t stored = first.shape.size() == 2 ? first.shape[1] : 0;
  std::int64_t rows = 0;
  bool biased = false;
  for (const LinearPart& part : parts) {
    check_part(part, stored);
    rows += part.row_end - part.row_begin;
    biased = biased || part.bias;
  }
  linear->in_features = static_cast<std::int32_t>(columns);
  linear->out_features = static_cast<std::int32_t>(rows);
  const auto width = static_cast<std::size_t>(columns);
  Bf16* to = queue.arena().take_array<Bf16>(static_cast<std::size_t>(rows) * width, "weights");
  linear->weight = to;
  linear->bytes = static_cast<std::size_t>(rows) * width * sizeof(Bf16);
  for (const LinearPart& part : parts) {
    const auto count = static_cast<std::size_t>(part.row_end - part.row_begin);
    queue.upload_large(count, width * sizeof(Bf16), to, [&](std::byte* piece, std::size_t row, std::size_t most) {
      for (std::size_t r = 0; r < most; ++r) {
        const auto source = static_cast<std::size_t>(part.row_begin) + row + r;
        copy_bf16(*part.weight, source * static_cast<std::size_t>(stored) + static_cast<std::size_t>(column_begin), width,
                  reinterpret_cast<Bf16*>(piece) + r * width);
      }
    });
    to += count * width;
  }
  if (biased) {
    std::vector<Bf16> bias(static_cast<std::size_t>(rows), 0);
    std::size_t at = 0;
    for (const LinearPart& part : parts) {
      const auto count = static_cast<std::size_t>(part.row_end - part.row_begin);
      if (part.bias) copy_bf16(*part.bias, static_cast<std::size_t>(part.row_begin), count, bias.data() + at);
      at += count;
    }
    Bf16* const device = queue.arena().take_array<Bf16>(bias.size(), "weights");
    queue.upload(bias.data(), bias.size() * sizeof(Bf16), device);
    linear->bias = device;
    linear->bytes += bias.size() * sizeof(Bf16);
  }
  return linear;
}

const float* upload_f32(Queue& queue, const tensor::TensorView& values) {
  std::vector<float> host(values.elements());
  tensor::copy_f32(values, 0, host.size(), host.data());
  float* const device = queue.arena().take_array<float>(host.size(), "weights");
  queue.upload(host.data(), host.size() * sizeof(float), device);
  return device;
}

}  // namespace assize::backend::cuda
