#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "base/hash.h"

namespace assize::media {

/// Which reference implementation turns pictures into patches.
enum class ImageProcessor {
  slow,  ///< transformers' Qwen2VLImageProcessor: Pillow's resize, rescale in double, normalise in float
  fast,  ///< transformers' Qwen2VLImageProcessorFast: torchvision's uint8 resize, fused normalisation in
         ///< float
};

/// What the user says about the image processor (key judge.image_processor of a job).
enum class ImageProcessorChoice { as_configured, slow, fast };

/// The parameters of the Qwen2-VL family's image preprocessing.
struct ImagePreprocessing {
  ImageProcessor processor = ImageProcessor::slow;
  std::int64_t min_pixels = 56 * 56;
  std::int64_t max_pixels = 28 * 28 * 1280;
  int patch_px = 14;
  int merge_patches = 2;    ///< side of the square of patches that becomes one token
  int temporal_frames = 2;  ///< frames in one patch; a picture is repeated to fill them
  double rescale_factor = 1.0 / 255.0;
  std::array<double, 3> mean = {0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std = {0.26862954, 0.26130258, 0.27577711};

  /// Side of the pixel square that becomes one token: both sides of a resized picture are multiples of it.
  int factor_px() const { return patch_px * merge_patches; }
};

/// Reads `preprocessor_config.json` of a model folder, or the `image_processor` part of
/// `processor_config.json` where only that exists. min_pixels/max_pixels are taken first, then
/// size.{shortest_edge,longest_edge}, then the class defaults above. Throws Error with file and key: neither
/// file there, wrong type or range, an image processor of another family, or a step (resampling, do_*) that
/// is not reproduced here.
ImagePreprocessing read_preprocessing(const std::filesystem::path& model_folder,
                                      ImageProcessorChoice choice = ImageProcessorChoice::as_configured);

/// Hash of all parameters; part of the content key of patches.
base::Hash128 parameters_hash(const ImagePreprocessing& preprocessing);

}  // namespace assize::media
