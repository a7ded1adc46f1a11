#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "golden.h"
#include "media/patches.h"
#include "media/preprocessor.h"
#include "support/catch.h"

using namespace assize::media;
using assize::base::Error;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    path = fs::temp_directory_path() / ("assize_preprocessor_" + std::to_string(::getpid()));
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
  fs::path path;
};

ImagePreprocessing read(const std::string& text,
                        ImageProcessorChoice choice = ImageProcessorChoice::as_configured) {
  const Folder folder;
  folder.write("preprocessor_config.json", text);
  return read_preprocessing(folder.path, choice);
}

std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "(accepted)";
}

}  // namespace

TEST_CASE("a published configuration is read") {
  const auto p =
      read(R"({"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "temporal_patch_size": 2,
    "merge_size": 2, "image_mean": [0.5, 0.25, 0.75], "image_std": [0.1, 0.2, 0.3],
    "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"})");
  CHECK(p.processor == ImageProcessor::slow);
  CHECK(p.min_pixels == 3136);
  CHECK(p.max_pixels == 12845056);
  CHECK(p.factor_px() == 28);
  CHECK(p.mean == std::array<double, 3>{0.5, 0.25, 0.75});
  CHECK(p.std == std::array<double, 3>{0.1, 0.2, 0.3});
}

TEST_CASE("pixel limits: the named keys, then size, then the class defaults") {
  CHECK(read("{}").max_pixels == 1003520);
  CHECK(read("{}").min_pixels == 3136);
  const std::string size = R"("size": {"shortest_edge": 784, "longest_edge": 7840})";
  CHECK(read("{" + size + "}").min_pixels == 784);
  CHECK(read("{" + size + "}").max_pixels == 7840);
  CHECK(read("{" + size + R"(, "max_pixels": 999999, "min_pixels": null})").max_pixels == 999999);
  CHECK(read("{" + size + R"(, "max_pixels": 999999, "min_pixels": null})").min_pixels == 784);
}

TEST_CASE("the image processor is reproduced or refused, and can be chosen") {
  const std::string fast = R"({"image_processor_type": "Qwen2VLImageProcessorFast"})";
  CHECK(read(fast).processor == ImageProcessor::fast);
  CHECK(read(fast, ImageProcessorChoice::slow).processor == ImageProcessor::slow);
  CHECK(read("{}", ImageProcessorChoice::fast).processor == ImageProcessor::fast);
  CHECK_THAT(refusal(R"({"image_processor_type": "CLIPImageProcessor"})"),
             Contains("'CLIPImageProcessor'") && Contains("Qwen2VLImageProcessorFast") &&
                 Contains("preprocessor_config.json"));
  CHECK_THAT(refusal(R"({"image_processor_type": 3})"), Contains("image_processor_type"));
}

TEST_CASE("processor_config.json serves where it is the only one") {
  const Folder folder;
  CHECK_THROWS_WITH(read_preprocessing(folder.path), Contains("neither preprocessor_config.json"));
  folder.write("processor_config.json", R"({"image_processor": {"max_pixels": 50176}})");
  CHECK(read_preprocessing(folder.path).max_pixels == 50176);
  folder.write("processor_config.json", R"({"feature_extractor": {}})");
  CHECK_THROWS_WITH(read_preprocessing(folder.path), Contains("'image_processor' is missing"));
  folder.write("preprocessor_config.json", R"({"max_pixels": 62720})");
  CHECK(read_preprocessing(folder.path).max_pixels == 62720);
}

TEST_CASE("what cannot be reproduced or makes no sense is refused with file and key") {
  CHECK_THAT(refusal(R"({"do_resize": false})"), Contains("preprocessor_config.json: key 'do_resize'"));
  CHECK_THAT(refusal(R"({"do_normalize": false})"), Contains("'do_normalize'"));
  CHECK_THAT(refusal(R"({"resample": 2})"), Contains("'resample' must be 3"));
  CHECK_THAT(refusal(R"({"min_pixels": "many"})"), Contains("'min_pixels' must be an integer"));
  CHECK_THAT(refusal(R"({"min_pixels": 0})"), Contains("'min_pixels'"));
  CHECK_THAT(refusal(R"({"min_pixels": 1e3})"), Contains("'min_pixels'"));
  CHECK_THAT(refusal(R"({"max_pixels": 18446744073709551615})"), Contains("'max_pixels'"));
  CHECK_THAT(refusal(R"({"min_pixels": 5000, "max_pixels": 4000})"), Contains("more than max_pixels 4000"));
  CHECK_THAT(refusal(R"({"patch_size": 0})"), Contains("'patch_size'"));
  CHECK_THAT(refusal(R"({"merge_size": 99})"), Contains("'merge_size'"));
  CHECK_THAT(refusal(R"({"image_std": [1, 0, 1]})"), Contains("'image_std'"));
  CHECK_THAT(refusal(R"({"image_mean": [1, 0]})"), Contains("'image_mean'"));
  CHECK_THAT(refusal(R"({"rescale_factor": -1})"), Contains("'rescale_factor'"));
  CHECK_THAT(refusal(R"({"size": 448})"), Contains("'size'"));
  CHECK_THAT(refusal(R"({"size": {"shortest_edge": -1}})"), Contains("size: key 'shortest_edge'"));
  CHECK_THAT(refusal("[1]"), Contains("not a JSON object"));
  CHECK_THAT(refusal("{"), Contains("not valid JSON"));
  CHECK_THAT(refusal(std::string(100, '[') + std::string(100, ']')), Contains("deeper"));
}

TEST_CASE("patches lie where the reference puts them") {
  // A picture whose every sample tells its place, at a size that needs no resize.
  const int width = 56, height = 84;
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) image.rgb.push_back(static_cast<std::uint8_t>(y * 7 + x * 3 + c * 50));
  ImagePreprocessing p;
  p.mean = {0, 0, 0};
  p.std = {1, 1, 1};
  p.rescale_factor = 1;
  const ImagePatches patches = make_patches(image, p);
  REQUIRE(patches.rows() == 24);
  REQUIRE(patches.columns() == 1176);
  CHECK(patches.tokens() == 6);
  for (int row = 0; row < 24; ++row) {
    // row = ((group_y * 2 + group_x) * 2 + dy) * 2 + dx with 2 groups across
    const int dx = row % 2, dy = row / 2 % 2, group_x = row / 4 % 2, group_y = row / 8;
    for (int column = 0; column < 1176; ++column) {
      const int x = column % 14, y = column / 14 % 14, channel = column / 392;
      const int at_y = (group_y * 2 + dy) * 14 + y, at_x = (group_x * 2 + dx) * 14 + x;
      REQUIRE(patches.values[static_cast<std::size_t>(row) * 1176 + column] ==
              static_cast<float>(static_cast<std::uint8_t>(at_y * 7 + at_x * 3 + channel * 50)));
    }
  }
}

TEST_CASE("the key sees the file, each parameter and the sizing") {
  const std::string file = "bytes of a picture";
  const auto key = [&](const std::string& contents, const ImagePreprocessing& p, ImageSizing sizing = {}) {
    return image_key(std::as_bytes(std::span(contents)), p, sizing);
  };
  const ImagePreprocessing base;
  std::vector<assize::base::Hash128> keys = {key(file, base), key(file + ".", base),
                                             key(file, base, {448, 448}), key(file, base, {448, 447})};
  const auto with = [&](auto change) {
    ImagePreprocessing p;
    change(p);
    keys.push_back(key(file, p));
  };
  with([](auto& p) { p.processor = ImageProcessor::fast; });
  with([](auto& p) { p.min_pixels += 1; });
  with([](auto& p) { p.max_pixels += 1; });
  with([](auto& p) { p.patch_px = 16; });
  with([](auto& p) { p.merge_patches = 1; });
  with([](auto& p) { p.temporal_frames = 1; });
  with([](auto& p) { p.rescale_factor = 1; });
  with([](auto& p) { p.mean[2] = 0; });
  with([](auto& p) { p.std[0] = 1; });
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) CHECK(keys[i] != keys[j]);
  CHECK(key(file, base) == keys[0]);
  const std::string path = golden::folder() + "png_rgb.png";
  CHECK(load_image_patches(path, base).key == load_image_patches(path, base).key);
  CHECK(load_image_patches(path, base).key != load_image_patches(path, base, {56, 56}).key);
}

TEST_CASE("a picture that the model cannot take is refused with its path") {
  ImagePreprocessing p;
  const std::string narrow = golden::folder() + "png_1x29.png";
  CHECK_THROWS_WITH(load_image_patches(narrow, p),
                    Contains(narrow + ": picture of 1x29 px") && Contains("28 px"));
  CHECK_THROWS_WITH(plan_image_file(narrow, p), Contains(narrow));
  CHECK_THROWS_WITH(load_image_patches("/nonexistent.png", p), Contains("/nonexistent.png"));
  CHECK_THROWS_WITH(load_image_patches(golden::folder() + "png_rgb.png", p, {5, 0}), Contains("5x0"));
  CHECK_THROWS_WITH(smart_resize({5700, 28}, 28, 3136, 1003520), Contains("200"));
  CHECK_THROWS_WITH(smart_resize({5600, 28}, 28, 784, 1568), Contains("too narrow"));
}
