// Pixels against Pillow, torch and transformers: tests/golden/pixels, made by tools/golden/pixels.py.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

#include "base/error.h"
#include "golden.h"
#include "media/patches.h"
#include "media/resize.h"

using namespace assize::media;

namespace {

const Image& picture(const std::string& name) {
  static std::map<std::string, Image> decoded;
  auto it = decoded.find(name);
  if (it == decoded.end()) it = decoded.emplace(name, decode_image(golden::folder() + name)).first;
  return it->second;
}

void check_patches(const ImagePatches& patches, const nlohmann::json& entry) {
  CHECK(std::vector<int>{patches.grid_t, patches.grid_h, patches.grid_w} ==
        entry["grid"].get<std::vector<int>>());
  REQUIRE(patches.columns() == 1176);
  REQUIRE(patches.rows() * 1176 == static_cast<std::int64_t>(patches.values.size()));
  const auto first = entry["first"].get<std::vector<float>>(), last = entry["last"].get<std::vector<float>>();
  CHECK(std::vector<float>(patches.values.begin(), patches.values.begin() + 6) == first);
  CHECK(std::vector<float>(patches.values.end() - 6, patches.values.end()) == last);
  CHECK(golden::crc32(patches.values.data(), patches.values.size() * 4) ==
        entry["crc32"].get<std::uint32_t>());
}

}  // namespace

TEST_CASE("pictures decode to Pillow's RGB bytes") {
  const auto all = golden::read("pixels.json")["decoded"];
  REQUIRE(all.size() >= 40);
  for (const auto& [name, entry] : all.items()) {
    INFO(name);
    golden::check_image(picture(name), entry);
  }
}

TEST_CASE("bicubic resizing gives the bytes of Pillow and of torch") {
  const auto all = golden::read("pixels.json")["resized"];
  REQUIRE(all.size() >= 40);
  int differing = 0;
  for (const auto& entry : all) {
    const ImageSize size{entry["pillow"]["width"], entry["pillow"]["height"]};
    INFO(entry["file"] << " to " << size.width_px << "x" << size.height_px);
    golden::check_image(resize_bicubic(picture(entry["file"]), size, ResizeArithmetic::pillow),
                        entry["pillow"]);
    golden::check_image(resize_bicubic(picture(entry["file"]), size, ResizeArithmetic::torchvision_uint8),
                        entry["torch"]);
    differing += entry["pillow"]["crc32"] != entry["torch"]["crc32"];
  }
  CHECK(differing > 0);  // else the two arithmetics were not told apart
}

TEST_CASE("smart_resize chooses the sizes of transformers 4.51.3") {
  const auto all = golden::read("pixels.json")["sizes"];
  REQUIRE(all.size() >= 300);
  for (const auto& entry : all) {
    const ImageSize size{entry[1], entry[0]};
    INFO(entry.dump());
    if (entry[4].is_null()) {
      CHECK_THROWS_AS(smart_resize(size, 28, entry[2], entry[3]), assize::base::Error);
    } else {
      const ImageSize resized = smart_resize(size, 28, entry[2], entry[3]);
      CHECK(resized.height_px == entry[4][0].get<int>());
      CHECK(resized.width_px == entry[4][1].get<int>());
    }
  }
}

TEST_CASE("pixel_values are those of the reference image processors, bit by bit") {
  const auto all = golden::read("pixels.json")["patches"];
  REQUIRE(all.size() >= 10);
  for (const auto& entry : all) {
    ImagePreprocessing preprocessing;
    preprocessing.min_pixels = entry["min_pixels"];
    preprocessing.max_pixels = entry["max_pixels"];
    const ImageSizing sizing{entry["width"], entry["height"]};
    const std::string path = golden::folder() + entry["file"].get<std::string>();
    INFO(path << " " << sizing.width_px << "x" << sizing.height_px);
    const ImagePatches slow = load_image_patches(path, preprocessing, sizing);
    check_patches(slow, entry["slow"]);
    const PatchGrid plan = plan_image_file(path, preprocessing, sizing);
    CHECK(plan.h == slow.grid_h);
    CHECK(plan.w == slow.grid_w);
    CHECK(plan.tokens == slow.tokens());
    preprocessing.processor = ImageProcessor::fast;
    check_patches(load_image_patches(path, preprocessing, sizing), entry["fast"]);
  }
}

TEST_CASE("published media decode and resize as in Pillow") {
  const char* data = std::getenv("ASSIZE_PUBLISHED_DATA");
  if (!data) {
    std::cout << "skipped: published media (ASSIZE_PUBLISHED_DATA is not set)\n";
    return;
  }
  int compared = 0;
  const auto golden_files = golden::read("published.json")["files"];
  for (const auto& [name, entry] : golden_files.items()) {
    const std::filesystem::path path = std::filesystem::path(data) / name;
    INFO(path);
    REQUIRE(std::filesystem::exists(path));
    if (entry.contains("refused")) {
      CHECK_THROWS_AS(decode_image(path), assize::base::Error);
      continue;
    }
    const Image image = decode_image(path);
    golden::check_image(image, entry["decoded"]);
    golden::check_image(resize_bicubic(image, {entry["resized"]["width"], entry["resized"]["height"]}),
                        entry["resized"]);
    ++compared;
  }
  CHECK(compared > 0);
}
