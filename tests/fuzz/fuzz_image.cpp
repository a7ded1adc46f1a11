// Any bytes as a picture: decoded within tight limits or refused; what was decoded can be resized and cut.
#include <cstdint>
#include <span>

#include "base/error.h"
#include "media/image.h"
#include "media/patches.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace assize::media;
  const ImageLimits limits{.max_pixels = 1 << 16, .max_side_px = 4096, .max_bytes = 1 << 16};
  const auto file = std::as_bytes(std::span(data, size));
  try {
    const ImageSize planned = read_image_size(file, "fuzz", limits);
    const Image image = decode_image(file, "fuzz", limits);
    if (image.width_px != planned.width_px || image.height_px != planned.height_px) __builtin_trap();
    ImagePreprocessing preprocessing;
    preprocessing.max_pixels = 56 * 56;
    preprocessing.processor = size % 2 ? ImageProcessor::slow : ImageProcessor::fast;
    make_patches(image, preprocessing);
  } catch (const assize::base::Error&) {
  }
  return 0;
}
