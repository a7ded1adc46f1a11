#include "media/write_png.h"

#include <png.h>

#include "base/error.h"

namespace assize::media {

std::string write_png(const Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width_px);
  png.height = static_cast<png_uint_32>(image.height_px);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t bytes = 0;
  std::string file;
  // The first call tells the size, the second writes.
  for (int call = 0; call < 2; ++call) {
    file.resize(bytes);
    if (!png_image_write_to_memory(&png, call ? file.data() : nullptr, &bytes, 0, image.rgb.data(), 0, nullptr)) {
      throw base::Error(std::string("libpng cannot write a picture: ") + png.message, base::ErrorKind::failed);
    }
  }
  file.resize(bytes);
  return file;
}

}  // namespace assize::media
