#include "media/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/error.h"

namespace assize::media {

namespace {

/// The integer weights of one direction: output index i is the sum over k < count[i] of
/// weights[i * stride + k] * input[first[i] + k], scaled by 2^fraction_bits.
struct Taps {
  int stride = 0;
  int fraction_bits = 0;
  std::vector<int> first, count;
  std::vector<std::int32_t> weights;
};

/// Keys' cubic kernel with a = -0.5, in the order of operations of Pillow's source.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

/// Fraction bits of the integer weights. Pillow: 32 - 8 - 2. Torch: the most that keep the largest weight in
/// 16 bits, at most 22.
int fraction_bits_for(const std::vector<double>& weights, ResizeArithmetic arithmetic) {
  if (arithmetic == ResizeArithmetic::pillow) return 22;
  const double largest = weights.empty() ? 0.0 : *std::max_element(weights.begin(), weights.end());
  int bits = 0;
  while (bits < 22 && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < (1 << 15)) ++bits;
  return bits;
}

Taps make_taps(int input, int output, ResizeArithmetic arithmetic) {
  const double scale = static_cast<double>(input) / output;
  const double filter_scale = std::max(scale, 1.0), support = 2.0 * filter_scale,
               per_scale = 1.0 / filter_scale;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.first.resize(static_cast<std::size_t>(output));
  taps.count.resize(static_cast<std::size_t>(output));
  std::vector<double> weights(static_cast<std::size_t>(output) * taps.stride, 0.0);
  for (int i = 0; i < output; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int count = std::min(input, static_cast<int>(center + support + 0.5)) - first;
    double* w = weights.data() + static_cast<std::size_t>(i) * taps.stride;
    double sum = 0;
    for (int k = 0; k < count; ++k) sum += w[k] = cubic((k + first - center + 0.5) * per_scale);
    if (sum != 0.0)
      for (int k = 0; k < count; ++k) w[k] /= sum;
    taps.first[i] = first;
    taps.count[i] = count;
  }
  taps.fraction_bits = fraction_bits_for(weights, arithmetic);
  taps.weights.resize(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double scaled = weights[i] * (1 << taps.fraction_bits);
    taps.weights[i] = static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  }
  return taps;
}

std::uint8_t to_byte(std::int32_t sum, int fraction_bits) {
  return static_cast<std::uint8_t>(std::clamp(sum >> fraction_bits, 0, 255));
}

Image horizontal_pass(const Image& in, int width, ResizeArithmetic arithmetic) {
  const Taps taps = make_taps(in.width_px, width, arithmetic);
  const std::int32_t half = 1 << (taps.fraction_bits - 1);
  Image out{width, in.height_px, {}};
  out.rgb.resize(static_cast<std::size_t>(width) * in.height_px * 3);
  for (int y = 0; y < in.height_px; ++y) {
    const std::uint8_t* source = in.row(y);
    std::uint8_t* target = out.row(y);
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* pixel = source + static_cast<std::size_t>(taps.first[x]) * 3;
      const std::int32_t* w = taps.weights.data() + static_cast<std::size_t>(x) * taps.stride;
      std::int32_t r = half, g = half, b = half;
      for (int k = 0; k < taps.count[x]; ++k) {
        r += w[k] * pixel[3 * k];
        g += w[k] * pixel[3 * k + 1];
        b += w[k] * pixel[3 * k + 2];
      }
      target[3 * x] = to_byte(r, taps.fraction_bits);
      target[3 * x + 1] = to_byte(g, taps.fraction_bits);
      target[3 * x + 2] = to_byte(b, taps.fraction_bits);
    }
  }
  return out;
}

Image vertical_pass(const Image& in, int height, ResizeArithmetic arithmetic) {
  const Taps taps = make_taps(in.height_px, height, arithmetic);
  const std::size_t row_bytes = static_cast<std::size_t>(in.width_px) * 3;
  Image out{in.width_px, height, {}};
  out.rgb.resize(row_bytes * height);
  std::vector<std::int32_t> sums(row_bytes);
  for (int y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 1 << (taps.fraction_bits - 1));
    for (int k = 0; k < taps.count[y]; ++k) {
      const std::int32_t w = taps.weights[static_cast<std::size_t>(y) * taps.stride + k];
      const std::uint8_t* source = in.row(taps.first[y] + k);
      for (std::size_t i = 0; i < row_bytes; ++i) sums[i] += w * source[i];
    }
    std::uint8_t* target = out.row(y);
    for (std::size_t i = 0; i < row_bytes; ++i) target[i] = to_byte(sums[i], taps.fraction_bits);
  }
  return out;
}

}  // namespace

Image resize_bicubic(const Image& image, ImageSize size, ResizeArithmetic arithmetic) {
  if (image.width_px < 1 || image.height_px < 1 || size.width_px < 1 || size.height_px < 1)
    throw base::Error("cannot resize " + std::to_string(image.width_px) + "x" +
                      std::to_string(image.height_px) + " px to " + std::to_string(size.width_px) + "x" +
                      std::to_string(size.height_px) + " px");
  const bool horizontal = size.width_px != image.width_px, vertical = size.height_px != image.height_px;
  if (!horizontal && !vertical) return image;
  if (!horizontal) return vertical_pass(image, size.height_px, arithmetic);
  Image wide = horizontal_pass(image, size.width_px, arithmetic);
  return vertical ? vertical_pass(wide, size.height_px, arithmetic) : wide;
}

}  // namespace assize::media
