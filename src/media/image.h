#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace assize::media {

/// A picture, 8 bits per channel.
struct Image {
  int width_px = 0;
  int height_px = 0;
  std::vector<std::uint8_t> rgb;  ///< [height_px, width_px, 3]

  /// First byte of row `y`.
  const std::uint8_t* row(int y) const { return rgb.data() + static_cast<std::size_t>(y) * width_px * 3; }
  std::uint8_t* row(int y) { return rgb.data() + static_cast<std::size_t>(y) * width_px * 3; }
};

/// What a picture file may cost at most; checked before memory for the pixels is taken.
struct ImageLimits {
  std::int64_t max_pixels = 89'478'485;  ///< where Pillow begins to warn of decompression bombs
  int max_side_px = 65'535;              ///< the most a JPEG can have; bounds the tables of the resize
  std::int64_t max_bytes = std::int64_t{256} << 20;  ///< of the file
};

/// Width and height of a picture, from its header.
struct ImageSize {
  int width_px = 0;
  int height_px = 0;
};

/// Decodes JPEG, PNG or WebP (told apart by content, never by name) to exactly the bytes of Pillow's
/// Image.open(...).convert("RGB"): alpha and transparency are dropped, grey and CMYK converted, 16-bit depth
/// reduced as there, no EXIF rotation, the first frame of an animation.
/// `where` stands in messages. Throws Error: not one of the formats, broken, cut short, over the limits.
Image decode_image(std::span<const std::byte> file, const std::string& where, const ImageLimits& limits = {});
/// The same for a file. Throws Error also when it cannot be read.
Image decode_image(const std::filesystem::path& path, const ImageLimits& limits = {});

/// The size from the header alone; nothing is decoded. Throws Error as decode_image does.
ImageSize read_image_size(std::span<const std::byte> file, const std::string& where,
                          const ImageLimits& limits = {});

}  // namespace assize::media
