#include "media/preprocessor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace assize::media {

namespace {

using base::Error;
using nlohmann::json;

/// One JSON object of a configuration file with typed, range-checked access. A key that is null counts as
/// absent, as in transformers.
class Config {
 public:
  Config(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const json* find(const char* key) const {
    const auto it = object_.find(key);
    return it == object_.end() || it->is_null() ? nullptr : &*it;
  }
  std::optional<std::int64_t> integer(const char* key, std::int64_t least, std::int64_t most) const {
    const json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number_integer() ||
        (value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX) ||
        value->get<std::int64_t>() < least || value->get<std::int64_t>() > most)
      fail(key, "must be an integer from " + std::to_string(least) + " to " + std::to_string(most));
    return value->get<std::int64_t>();
  }
  std::optional<double> number(const char* key) const {
    const json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number()) fail(key, "must be a number");
    return value->get<double>();
  }
  /// Three numbers, one per channel.
  void channels(const char* key, std::array<double, 3>& out) const {
    const json* value = find(key);
    if (!value) return;
    if (!value->is_array() || value->size() != 3) fail(key, "must be a list of 3 numbers");
    for (std::size_t i = 0; i < 3; ++i) {
      if (!(*value)[i].is_number()) fail(key, "must be a list of 3 numbers");
      out[i] = (*value)[i].get<double>();
    }
  }
  /// A step that the reference can switch off and this code cannot.
  void must_be_true(const char* key) const {
    const json* value = find(key);
    if (value && *value != true) fail(key, "must be true; other values are not reproduced here");
  }
  [[noreturn]] void fail(const char* key, const std::string& what) const {
    throw Error(where_ + ": key '" + key + "' " + what);
  }

 private:
  const json& object_;
  std::string where_;
};

ImageProcessor processor_of(const Config& config, ImageProcessorChoice choice) {
  const json* type = config.find("image_processor_type");
  const std::string name = !type               ? "Qwen2VLImageProcessor"
                           : type->is_string() ? type->get<std::string>()
                                               : type->dump();
  const bool is_slow = name == "Qwen2VLImageProcessor", is_fast = name == "Qwen2VLImageProcessorFast";
  if (!is_slow && !is_fast)
    config.fail(
        "image_processor_type",
        "is '" + name.substr(0, 80) + "'; Qwen2VLImageProcessor and Qwen2VLImageProcessorFast are supported");
  if (choice == ImageProcessorChoice::slow) return ImageProcessor::slow;
  if (choice == ImageProcessorChoice::fast) return ImageProcessor::fast;
  return is_fast ? ImageProcessor::fast : ImageProcessor::slow;
}

json parse_file(const std::filesystem::path& path) {
  const std::string text = base::read_file(path, 1 << 20);
  // Depth is bounded by refusing deep nesting: value destructors recurse.
  const auto shallow = [&](int depth, json::parse_event_t, json&) {
    if (depth > 64) throw Error(path.string() + ": JSON nested deeper than 64");
    return true;
  };
  try {
    return json::parse(text, shallow);
  } catch (const json::exception& e) {
    std::string reason = std::string(e.what()).substr(0, 200);
    std::replace_if(
        reason.begin(), reason.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
    throw Error(path.string() + ": not valid JSON (" + reason + ")");
  }
}

}  // namespace

ImagePreprocessing read_preprocessing(const std::filesystem::path& model_folder,
                                      ImageProcessorChoice choice) {
  std::filesystem::path path = model_folder / "preprocessor_config.json";
  std::error_code ignored;
  const bool is_nested = !std::filesystem::exists(path, ignored);
  if (is_nested) path = model_folder / "processor_config.json";
  if (!std::filesystem::exists(path, ignored))
    throw Error(
        model_folder.string() +
        ": neither preprocessor_config.json nor processor_config.json; a judge that sees pictures needs one");
  json root = parse_file(path);
  if (is_nested && root.is_object()) {
    const auto part = root.find("image_processor");
    if (part == root.end()) throw Error(path.string() + ": key 'image_processor' is missing");
    root = json(*part);
  }
  if (!root.is_object())
    throw Error(path.string() + ": the image processor's configuration is not a JSON object");
  const Config config(root, path.string());

  ImagePreprocessing out;
  out.processor = processor_of(config, choice);
  for (const char* step : {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"})
    config.must_be_true(step);
  if (config.integer("resample", 0, 5).value_or(3) != 3) config.fail("resample", "must be 3 (bicubic)");

  constexpr std::int64_t most_pixels = std::int64_t{1} << 40;
  if (const json* size = config.find("size")) {
    if (!size->is_object()) config.fail("size", "must be an object");
    const Config sizes(*size, path.string() + ": size");
    out.min_pixels = sizes.integer("shortest_edge", 1, most_pixels).value_or(out.min_pixels);
    out.max_pixels = sizes.integer("longest_edge", 1, most_pixels).value_or(out.max_pixels);
  }
  out.min_pixels = config.integer("min_pixels", 1, most_pixels).value_or(out.min_pixels);
  out.max_pixels = config.integer("max_pixels", 1, most_pixels).value_or(out.max_pixels);
  if (out.min_pixels > out.max_pixels)
    config.fail("min_pixels", "is " + std::to_string(out.min_pixels) + ", more than max_pixels " +
                                  std::to_string(out.max_pixels));
  out.patch_px = static_cast<int>(config.integer("patch_size", 1, 128).value_or(out.patch_px));
  out.merge_patches = static_cast<int>(config.integer("merge_size", 1, 16).value_or(out.merge_patches));
  out.temporal_frames =
      static_cast<int>(config.integer("temporal_patch_size", 1, 16).value_or(out.temporal_frames));
  out.rescale_factor = config.number("rescale_factor").value_or(out.rescale_factor);
  if (!(out.rescale_factor > 0)) config.fail("rescale_factor", "must be positive");
  config.channels("image_mean", out.mean);
  config.channels("image_std", out.std);
  for (const double value : out.std)
    if (!(value > 0)) config.fail("image_std", "must be positive");
  return out;
}

base::Hash128 parameters_hash(const ImagePreprocessing& p) {
  base::Hasher hasher;
  hasher.add("image preprocessing 1");
  for (const std::int64_t value :
       {static_cast<std::int64_t>(p.processor), p.min_pixels, p.max_pixels, std::int64_t{p.patch_px},
        std::int64_t{p.merge_patches}, std::int64_t{p.temporal_frames}})
    hasher.add(static_cast<std::uint64_t>(value));
  hasher.add(std::bit_cast<std::uint64_t>(p.rescale_factor));
  for (const auto& values : {p.mean, p.std})
    for (const double value : values) hasher.add(std::bit_cast<std::uint64_t>(value));
  return hasher.digest();
}

}  // namespace assize::media
