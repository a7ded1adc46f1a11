#pragma once
// One decoder per format; image.cpp chooses. All take the whole file, all throw base::Error with `where`.

#include <span>
#include <string>

#include "media/image.h"

namespace assize::media {

/// Whether a decoder stops after the header (the Image has its size and no pixels).
enum class DecodeDepth { header, pixels };

Image decode_jpeg(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
                  DecodeDepth depth);
Image decode_png(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
                 DecodeDepth depth);
Image decode_webp(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
                  DecodeDepth depth);

/// An Image of that size without pixels. Throws Error if the limits forbid the size.
Image checked_size(std::int64_t width_px, std::int64_t height_px, const std::string& where,
                   const ImageLimits& limits);

/// Throws Error "WHERE: broken FORMAT picture (reason); ...". `reason` is untrusted: cut to one line.
[[noreturn]] void throw_broken(const std::string& where, const char* format, const std::string& reason);

}  // namespace assize::media
