#include "media/library_versions.h"

#include <cstddef>
#include <cstdio>

#include <fmt/format.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

namespace assize::media {

std::string library_versions() {
  const int webp = WebPGetDecoderVersion();
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
  const std::string jpeg = fmt::format("libjpeg-turbo {}.{}.{}", LIBJPEG_TURBO_VERSION_NUMBER / 1000000,
                                       LIBJPEG_TURBO_VERSION_NUMBER / 1000 % 1000, LIBJPEG_TURBO_VERSION_NUMBER % 1000);
#else
  const std::string jpeg = fmt::format("libjpeg {}", JPEG_LIB_VERSION);
#endif
  return fmt::format("{}, libpng {}, libwebp {}.{}.{}", jpeg, png_get_libpng_ver(nullptr), webp >> 16, (webp >> 8) & 255,
                     webp & 255);
}

}  // namespace assize::media
