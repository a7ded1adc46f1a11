#include "media/patches.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "media/resize.h"

namespace assize::media {

namespace {

using base::Error;

std::string text(ImageSize size) {
  return std::to_string(size.width_px) + "x" + std::to_string(size.height_px) + " px";
}

/// The normalised value of each byte in each channel, in the arithmetic of the processor.
std::array<std::array<float, 256>, 3> value_tables(const ImagePreprocessing& p) {
  std::array<std::array<float, 256>, 3> tables;
  for (std::size_t c = 0; c < 3; ++c) {
    const float mean = static_cast<float>(p.mean[c]), std = static_cast<float>(p.std[c]);
    const float per_factor = static_cast<float>(1.0 / p.rescale_factor);
    for (int v = 0; v < 256; ++v) {
      if (p.processor == ImageProcessor::slow)
        tables[c][v] = (static_cast<float>(v * p.rescale_factor) - mean) / std;
      else
        tables[c][v] = (static_cast<float>(v) - mean * per_factor) / (std * per_factor);
    }
  }
  return tables;
}

std::optional<ImageSize> fixed_size(ImageSizing sizing) {
  if (sizing.width_px == 0 && sizing.height_px == 0) return std::nullopt;
  if (sizing.width_px < 1 || sizing.height_px < 1 || sizing.width_px > 16384 || sizing.height_px > 16384)
    throw Error("image sizing " + text({sizing.width_px, sizing.height_px}) +
                ": both sides must be from 1 to 16384");
  return ImageSize{sizing.width_px, sizing.height_px};
}

/// Runs `work`; an Error gets the path in front unless it stands there already.
template <class Work>
auto naming(const std::filesystem::path& path, Work work) {
  try {
    return work();
  } catch (const Error& e) {
    const std::string message = e.what();
    if (message.starts_with(path.string())) throw;
    throw Error(path.string() + ": " + message, e.kind());
  }
}

}  // namespace

ImageSize smart_resize(ImageSize size, int factor_px, std::int64_t min_pixels, std::int64_t max_pixels) {
  const double h = size.height_px, w = size.width_px, factor = factor_px;
  if (size.height_px < factor_px || size.width_px < factor_px)
    throw Error("picture of " + text(size) + ": each side needs at least " + std::to_string(factor_px) +
                " px");
  if (std::max(h, w) / std::min(h, w) > 200)
    throw Error("picture of " + text(size) + ": the sides may not differ by more than a factor of 200");
  // nearbyint: halves to even, as Python's round (the default rounding mode).
  double new_h = std::nearbyint(h / factor) * factor, new_w = std::nearbyint(w / factor) * factor;
  if (new_h * new_w > static_cast<double>(max_pixels)) {
    const double beta = std::sqrt(h * w / static_cast<double>(max_pixels));
    new_h = std::floor(h / beta / factor) * factor;
    new_w = std::floor(w / beta / factor) * factor;
  } else if (new_h * new_w < static_cast<double>(min_pixels)) {
    const double beta = std::sqrt(static_cast<double>(min_pixels) / (h * w));
    new_h = std::ceil(h * beta / factor) * factor;
    new_w = std::ceil(w * beta / factor) * factor;
  }
  if (new_h < 1 || new_w < 1)
    throw Error("picture of " + text(size) + ": too narrow for max_pixels " + std::to_string(max_pixels));
  if (new_h > 65535 || new_w > 65535)
    throw Error("picture of " + text(size) + ": too large at min_pixels " + std::to_string(min_pixels));
  return {static_cast<int>(new_w), static_cast<int>(new_h)};
}

PatchGrid plan_patches(ImageSize size, const ImagePreprocessing& p, ImageSizing sizing) {
  const ImageSize resized =
      smart_resize(fixed_size(sizing).value_or(size), p.factor_px(), p.min_pixels, p.max_pixels);
  PatchGrid grid{1, resized.height_px / p.patch_px, resized.width_px / p.patch_px};
  grid.tokens = std::int64_t{grid.h} * grid.w / (p.merge_patches * p.merge_patches);
  return grid;
}

ImagePatches make_patches(const Image& image, const ImagePreprocessing& p, ImageSizing sizing) {
  const PatchGrid grid = plan_patches({image.width_px, image.height_px}, p, sizing);
  const auto fixed = fixed_size(sizing);
  const ImageSize target{grid.w * p.patch_px, grid.h * p.patch_px};
  const Image resized = resize_bicubic(
      fixed ? resize_bicubic(image, *fixed) : image, target,
      p.processor == ImageProcessor::slow ? ResizeArithmetic::pillow : ResizeArithmetic::torchvision_uint8);
  const auto tables = value_tables(p);

  ImagePatches out;
  out.grid_t = grid.t;
  out.grid_h = grid.h;
  out.grid_w = grid.w;
  out.merge = p.merge_patches;
  const int side = p.patch_px, merge = p.merge_patches;
  out.values.resize(static_cast<std::size_t>(out.rows()) * 3 * p.temporal_frames * side * side);
  float* value = out.values.data();
  for (int group_y = 0; group_y < grid.h / merge; ++group_y)
    for (int group_x = 0; group_x < grid.w / merge; ++group_x)
      for (int dy = 0; dy < merge; ++dy)
        for (int dx = 0; dx < merge; ++dx) {
          const int top = (group_y * merge + dy) * side, left = (group_x * merge + dx) * side;
          for (int channel = 0; channel < 3; ++channel)
            for (int frame = 0; frame < p.temporal_frames; ++frame)
              for (int y = 0; y < side; ++y) {
                const std::uint8_t* pixel =
                    resized.row(top + y) + static_cast<std::size_t>(left) * 3 + channel;
                for (int x = 0; x < side; ++x) *value++ = tables[channel][pixel[3 * x]];
              }
        }
  return out;
}

base::Hash128 image_key(std::span<const std::byte> file, const ImagePreprocessing& preprocessing,
                        ImageSizing sizing) {
  const base::Hash128 parameters = parameters_hash(preprocessing);
  base::Hasher hasher;
  hasher.add(parameters.low).add(parameters.high);
  hasher.add(static_cast<std::uint64_t>(sizing.width_px)).add(static_cast<std::uint64_t>(sizing.height_px));
  return hasher.add(file).digest();
}

ImagePatches load_image_patches(const std::filesystem::path& path, const ImagePreprocessing& preprocessing,
                                ImageSizing sizing, const ImageLimits& limits) {
  return naming(path, [&] {
    const std::string contents = base::read_file(path, static_cast<std::uintmax_t>(limits.max_bytes));
    const auto file = std::as_bytes(std::span(contents));
    plan_patches(read_image_size(file, path.string(), limits), preprocessing,
                 sizing);  // refuses before decoding
    ImagePatches patches = make_patches(decode_image(file, path.string(), limits), preprocessing, sizing);
    patches.key = image_key(file, preprocessing, sizing);
    return patches;
  });
}

PatchGrid plan_image_file(const std::filesystem::path& path, const ImagePreprocessing& preprocessing,
                          ImageSizing sizing, const ImageLimits& limits) {
  return naming(path, [&] {
    const std::string contents = base::read_file(path, static_cast<std::uintmax_t>(limits.max_bytes));
    return plan_patches(read_image_size(std::as_bytes(std::span(contents)), path.string(), limits),
                        preprocessing, sizing);
  });
}

}  // namespace assize::media
