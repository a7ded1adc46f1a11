#pragma once
// What the pixel tests share: the golden file of tools/golden/pixels.py and the comparison with it.

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "media/image.h"
#include "support/catch.h"
#include "support/paths.h"

namespace golden {

inline std::string folder() { return assize::support::source_dir() + "/tests/golden/pixels/"; }

inline nlohmann::json read(const std::string& name) {
  std::ifstream in(folder() + name);
  REQUIRE(in);
  return nlohmann::json::parse(in);
}

/// CRC-32 of zlib and PNG (reflected polynomial 0xEDB88320).
inline std::uint32_t crc32(const void* data, std::size_t size) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  std::uint32_t c = 0xFFFFFFFFu;
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < size; ++i) c = table[(c ^ bytes[i]) & 0xFF] ^ (c >> 8);
  return ~c;
}

/// Requires every byte of `image` to be as in the golden entry.
inline void check_image(const assize::media::Image& image, const nlohmann::json& entry) {
  CHECK(image.width_px == entry["width"].get<int>());
  CHECK(image.height_px == entry["height"].get<int>());
  // The CRC decides; the raw values come first to show a difference.
  const auto first = entry["first"].get<std::vector<int>>(), last = entry["last"].get<std::vector<int>>();
  REQUIRE(image.rgb.size() >= last.size());
  CHECK(std::vector<int>(image.rgb.begin(), image.rgb.begin() + static_cast<long>(first.size())) == first);
  CHECK(std::vector<int>(image.rgb.end() - static_cast<long>(last.size()), image.rgb.end()) == last);
  CHECK(crc32(image.rgb.data(), image.rgb.size()) == entry["crc32"].get<std::uint32_t>());
}

}  // namespace golden
