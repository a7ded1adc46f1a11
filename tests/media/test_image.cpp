#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "golden.h"
#include "media/image.h"
#include "media/resize.h"

using namespace assize::media;
using assize::base::Error;
using Catch::Matchers::Contains;

namespace {

std::string file_of(const std::string& name) { return assize::base::read_file(golden::folder() + name); }

std::span<const std::byte> bytes(const std::string& file) { return std::as_bytes(std::span(file)); }

std::string refusal(const std::string& file, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes(file), "pic", limits);
  } catch (const Error& e) {
    return e.what();
  }
  return "(accepted)";
}

void put_big_endian(std::string& file, std::size_t at, std::uint32_t value, int size) {
  for (int i = 0; i < size; ++i) file[at + i] = static_cast<char>(value >> (8 * (size - 1 - i)));
}

/// The PNG with another size in its header and the header's CRC made right.
std::string png_claiming(std::string file, std::uint32_t width, std::uint32_t height) {
  put_big_endian(file, 16, width, 4);
  put_big_endian(file, 20, height, 4);
  put_big_endian(file, 29, golden::crc32(file.data() + 12, 17), 4);
  return file;
}

/// The JPEG with another size in its frame header.
std::string jpeg_claiming(std::string file, std::uint32_t width, std::uint32_t height) {
  const auto frame = file.find(std::string("\xFF\xC0\x00\x11", 4));
  REQUIRE(frame != std::string::npos);
  put_big_endian(file, frame + 5, height, 2);
  put_big_endian(file, frame + 7, width, 2);
  return file;
}

}  // namespace

TEST_CASE("the content decides the format, not the name") {
  const std::string other = std::filesystem::temp_directory_path() / "assize_named.png";
  assize::base::write_file_atomically(other, file_of("jpeg_420.jpg"));
  CHECK(decode_image(other).rgb == decode_image(golden::folder() + "jpeg_420.jpg").rgb);
  std::filesystem::remove(other);
}

TEST_CASE("what is no picture is refused with the path and its first bytes") {
  CHECK_THAT(refusal("GIF89a.........."), Contains("pic: not a JPEG, PNG or WebP") && Contains("47 49 46"));
  CHECK_THAT(refusal(""), Contains("empty"));
  CHECK_THAT(refusal("RIFF"), Contains("not a JPEG"));
  CHECK_THROWS_WITH(decode_image(std::filesystem::path("/nonexistent/p.png")),
                    Contains("/nonexistent/p.png"));
  CHECK_THROWS_WITH(decode_image(std::filesystem::temp_directory_path()), Contains("folder"));
}

TEST_CASE("decompression bombs are refused from the header") {
  CHECK_THAT(refusal(png_claiming(file_of("png_rgb.png"), 60000, 60000)),
             Contains("60000x60000") && Contains("89478485"));
  CHECK_THAT(refusal(png_claiming(file_of("png_rgb.png"), 2000000000, 1)), Contains("broken PNG"));
  CHECK_THAT(refusal(png_claiming(file_of("png_rgb.png"), 0, 1)), Contains("broken PNG"));
  CHECK_THAT(refusal(jpeg_claiming(file_of("jpeg_444.jpg"), 65500, 65500)), Contains("65500x65500"));
  CHECK_THAT(refusal(jpeg_claiming(file_of("jpeg_444.jpg"), 65500, 0)), Contains("broken JPEG"));
  const ImageLimits small{.max_pixels = 61 * 43 - 1};
  for (const char* name : {"png_rgb.png", "jpeg_420.jpg", "webp_lossy.webp", "webp_lossless.webp"}) {
    CHECK_THAT(refusal(file_of(name), small), Contains("61x43 px is over the limit of 2622 pixels"));
    CHECK_THROWS_AS(read_image_size(bytes(file_of(name)), "pic", small), Error);
    CHECK_THAT(refusal(file_of(name), {.max_pixels = 61 * 43}), Contains("(accepted)"));
    CHECK_THAT(refusal(file_of(name), {.max_side_px = 60}), Contains("pic:"));
    CHECK_THAT(refusal(file_of(name), {.max_bytes = 100}), Contains("the limit is 100"));
  }
}

TEST_CASE("a picture that claims more rows than it holds is refused") {
  CHECK_THAT(refusal(png_claiming(file_of("png_rgb.png"), 61, 4300)), Contains("broken PNG"));
  CHECK_THAT(refusal(png_claiming(file_of("png_rgba_interlaced.png"), 17, 1300)), Contains("broken PNG"));
}

TEST_CASE("the size in the header is the size of the picture") {
  const auto all = golden::read("pixels.json")["decoded"];
  for (const auto& [name, entry] : all.items()) {
    const ImageSize size = read_image_size(bytes(file_of(name)), name);
    CHECK(size.width_px == entry["width"].get<int>());
    CHECK(size.height_px == entry["height"].get<int>());
  }
}

TEST_CASE("pictures cut anywhere or with any byte changed are decoded or refused, nothing else") {
  const ImageLimits limits{.max_pixels = 1 << 20};
  for (const char* name :
       {"jpeg_grey.jpg", "jpeg_grey_progressive.jpg", "png_palette4.png", "png_grey16_trns.png",
        "png_rgb_trns.png", "webp_lossy_alpha.webp", "webp_odd_5x3.webp", "webp_animated.webp"}) {
    INFO(name);
    const std::string whole = file_of(name);
    int refused = 0;
    for (std::size_t size = 0; size < whole.size(); size += 7)
      refused += refusal(whole.substr(0, size), limits) != "(accepted)";
    CHECK(refused > 0);
    for (std::size_t at = 0; at < whole.size(); at += 11) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      refusal(changed, limits);
    }
  }
  for (const char* name :
       {"jpeg_420.jpg", "jpeg_progressive.jpg", "png_rgb.png", "webp_lossy.webp", "webp_lossless.webp"}) {
    const std::string whole = file_of(name);
    CHECK_THAT(refusal(whole.substr(0, whole.size() * 2 / 3)), Contains("pic: broken"));
  }
}

TEST_CASE("a resize to nothing or of nothing is an error") {
  const Image image{2, 1, {1, 2, 3, 4, 5, 6}};
  CHECK_THROWS_AS(resize_bicubic(image, {0, 4}), Error);
  CHECK_THROWS_AS(resize_bicubic(image, {4, -1}), Error);
  CHECK_THROWS_AS(resize_bicubic(Image{}, {4, 4}), Error);
  CHECK(resize_bicubic(image, {2, 1}).rgb == image.rgb);
}

TEST_CASE("a flat picture stays flat at every size") {
  Image flat{13, 7, {}};
  for (int i = 0; i < 13 * 7; ++i) flat.rgb.insert(flat.rgb.end(), {255, 0, 77});
  for (const auto arithmetic : {ResizeArithmetic::pillow, ResizeArithmetic::torchvision_uint8})
    for (int width = 1; width < 40; width += 3)
      for (int height = 1; height < 40; height += 5) {
        const Image out = resize_bicubic(flat, {width, height}, arithmetic);
        REQUIRE(out.rgb.size() == static_cast<std::size_t>(width) * height * 3);
        for (std::size_t i = 0; i < out.rgb.size(); i += 3)
          REQUIRE((out.rgb[i] == 255 && out.rgb[i + 1] == 0 && out.rgb[i + 2] == 77));
      }
}
