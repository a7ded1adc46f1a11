#include "media/image.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "media/decoders.h"

namespace assize::media {

namespace {

using base::Error;

Image decode(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits,
             DecodeDepth depth) {
  if (static_cast<std::int64_t>(file.size()) > limits.max_bytes)
    throw Error(where + ": picture file of " + std::to_string(file.size()) + " bytes, the limit is " +
                std::to_string(limits.max_bytes));
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min<std::size_t>(file.size(), 16));
  if (head.starts_with("\xFF\xD8\xFF")) return decode_jpeg(file, where, limits, depth);
  if (head.starts_with("\x89PNG\r\n\x1A\n")) return decode_png(file, where, limits, depth);
  if (head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP")
    return decode_webp(file, where, limits, depth);
  std::string begin;
  for (const char c : head.substr(0, 8)) {
    char hex[4];
    std::snprintf(hex, sizeof hex, " %02x", static_cast<unsigned char>(c));
    begin += hex;
  }
  throw Error(where + ": not a JPEG, PNG or WebP picture (" +
              (file.empty() ? std::string("the file is empty") : "it begins with" + begin) +
              "); convert it to one of these");
}

}  // namespace

Image checked_size(std::int64_t width_px, std::int64_t height_px, const std::string& where,
                   const ImageLimits& limits) {
  const std::string size = std::to_string(width_px) + "x" + std::to_string(height_px) + " px";
  if (width_px < 1 || height_px < 1) throw Error(where + ": empty picture of " + size);
  if (width_px > limits.max_side_px || height_px > limits.max_side_px)
    throw Error(where + ": picture of " + size + ", a side may have " + std::to_string(limits.max_side_px) +
                " px");
  if (width_px > limits.max_pixels / height_px)
    throw Error(where + ": picture of " + size + " is over the limit of " +
                std::to_string(limits.max_pixels) + " pixels; scale it down");
  return {static_cast<int>(width_px), static_cast<int>(height_px), {}};
}

void throw_broken(const std::string& where, const char* format, const std::string& reason) {
  std::string line = reason.substr(0, 200);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  throw Error(where + ": broken " + format + " picture (" + line + "); replace the file");
}

Image decode_image(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits) {
  return decode(file, where, limits, DecodeDepth::pixels);
}

Image decode_image(const std::filesystem::path& path, const ImageLimits& limits) {
  const std::string file = base::read_file(path, static_cast<std::uintmax_t>(limits.max_bytes));
  return decode_image(std::as_bytes(std::span(file)), path.string(), limits);
}

ImageSize read_image_size(std::span<const std::byte> file, const std::string& where,
                          const ImageLimits& limits) {
  const Image header = decode(file, where, limits, DecodeDepth::header);
  return {header.width_px, header.height_px};
}

}  // namespace assize::media
