#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "media/image.h"
#include "media/preprocessor.h"

namespace assize::media {

/// A picture as the vision tower takes it.
struct ImagePatches {
  std::vector<float> values;  ///< [rows(), columns()]: rows ordered (t, group row, group column, dy, dx) with
                              ///< groups of merge x merge patches; columns ordered (channel, frame, y, x)
  int grid_t = 0;             ///< frame groups: 1 for a picture
  int grid_h = 0;             ///< patches from top to bottom, a multiple of merge
  int grid_w = 0;             ///< patches from left to right, a multiple of merge
  int merge = 2;              ///< side of the square of patches that becomes one token
  base::Hash128 key;          ///< of the file's bytes, the sizing and the preprocessing parameters

  std::int64_t rows() const { return std::int64_t{grid_t} * grid_h * grid_w; }
  std::int64_t columns() const { return rows() ? static_cast<std::int64_t>(values.size()) / rows() : 0; }
  /// Placeholder tokens that the picture fills in a prompt.
  std::int64_t tokens() const { return rows() / (merge * merge); }
};

/// A size to which every picture is brought before the model's own preprocessing (Pillow bicubic, aspect
/// ratio not kept), as the published judge scripts do with 448 x 448. 0 x 0: none, the picture stays as it
/// is.
struct ImageSizing {
  int width_px = 0;
  int height_px = 0;
};

/// The patch grid that a picture will have, without its pixels.
struct PatchGrid {
  int t = 1, h = 0, w = 0;
  std::int64_t tokens = 0;
};

/// Size near `size` with both sides multiples of `factor_px` and min_pixels <= area <= max_pixels, the aspect
/// ratio kept as well as possible (transformers 4.51.3; halves round to even). Throws Error:
/// a side < factor_px, sides in a ratio over 200, or limits that leave no size.
ImageSize smart_resize(ImageSize size, int factor_px, std::int64_t min_pixels, std::int64_t max_pixels);

/// The grid of a picture of `size`. Throws Error as smart_resize does.
PatchGrid plan_patches(ImageSize size, const ImagePreprocessing& preprocessing, ImageSizing sizing = {});

/// Sizing, smart resize, normalisation and cutting into patches. `key` is left zero. Throws as smart_resize
/// does.
ImagePatches make_patches(const Image& image, const ImagePreprocessing& preprocessing,
                          ImageSizing sizing = {});

/// Content key of a picture file under given preprocessing.
base::Hash128 image_key(std::span<const std::byte> file, const ImagePreprocessing& preprocessing,
                        ImageSizing sizing);

/// From picture file to patches with key. Throws Error, always with the path: unreadable, not a picture, over
/// the limits, or refused by smart_resize.
ImagePatches load_image_patches(const std::filesystem::path& path, const ImagePreprocessing& preprocessing,
                                ImageSizing sizing = {}, const ImageLimits& limits = {});

/// The grid of a picture file from its header alone, for planning. Throws as load_image_patches does.
PatchGrid plan_image_file(const std::filesystem::path& path, const ImagePreprocessing& preprocessing,
                          ImageSizing sizing = {}, const ImageLimits& limits = {});

}  // namespace assize::media
