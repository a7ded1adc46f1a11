#pragma once

#include <string>

#include "media/image.h"

namespace assize::media {

/// The picture as a PNG file. Throws Error (kind failed) when libpng cannot write it.
std::string write_png(const Image& image);

}  // namespace assize::media
