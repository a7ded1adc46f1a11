#pragma once

#include <string>

namespace assize::media {

/// "libjpeg-turbo 2.1.5, libpng 1.6.39, libwebp 1.2.4": the libraries in use.
std::string library_versions();

}  // namespace assize::media
