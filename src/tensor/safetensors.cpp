#include "tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"

namespace assize::tensor {

namespace {

using base::Error;
using nlohmann::json;

constexpr int max_depth = 8;
constexpr const char* download_again = "; download the file again";

/// A name from an untrusted file, cut and without control characters, so that a message stays one line.
std::string shown(std::string_view name) {
  std::string text(name.substr(0, 120));
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return "'" + text + (name.size() > 120 ? "...'" : "'");
}

/// JSON text to a value; refuses a repeated key (the parser would keep the last) and deep nesting.
json parse_json(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > max_depth) throw Error(where + ": JSON nested deeper than " + std::to_string(max_depth));
    const auto level = static_cast<std::size_t>(depth);
    if (event == json::parse_event_t::object_start) {
      keys.resize(std::max(keys.size(), level + 2));
      keys[level + 1].clear();
    } else if (event == json::parse_event_t::key) {
      if (!keys[level].insert(value.get<std::string>()).second)
        throw Error(where + ": " + shown(value.get<std::string>()) + " stands twice in the header" +
                    download_again);
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& e) {
    std::string reason = e.what();
    std::replace_if(
        reason.begin(), reason.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
    throw Error(where + ": not valid JSON (" + reason.substr(0, 300) + ")" + download_again);
  }
}

std::optional<DType> dtype_of(std::string_view text) {
  for (const DType type :
       {DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean})
    if (name(type) == text) return type;
  return std::nullopt;
}

/// A list of non-negative integers, or nothing.
std::optional<std::vector<std::int64_t>> integers(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_array()) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const auto& value : *it) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT64_MAX) return std::nullopt;
    values.push_back(value.get<std::int64_t>());
  }
  return values;
}

TensorView parse_entry(const std::string& tensor_name, const json& entry, std::span<const std::byte> data,
                       const std::string& where) {
  const std::string at = where + ": tensor " + shown(tensor_name) + ": ";
  if (!entry.is_object()) throw Error(at + "header entry is not an object" + download_again);
  const auto type_it = entry.find("dtype");
  if (type_it == entry.end() || !type_it->is_string()) throw Error(at + "no dtype" + download_again);
  const auto type = dtype_of(type_it->get_ref<const std::string&>());
  if (!type)
    throw Error(at + "dtype " + shown(type_it->get_ref<const std::string&>()) +
                " is not supported (F32, F16, BF16, I64, I32, U8, BOOL are); convert the checkpoint");
  const auto shape = integers(entry, "shape");
  if (!shape) throw Error(at + "shape is not a list of non-negative integers" + download_again);
  const auto offsets = integers(entry, "data_offsets");
  if (!offsets || offsets->size() != 2)
    throw Error(at + "data_offsets is not a pair of integers" + download_again);
  const auto begin = static_cast<std::size_t>((*offsets)[0]), end = static_cast<std::size_t>((*offsets)[1]);
  if (begin > end || end > data.size())
    throw Error(at + "data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) +
                "] do not lie in the " + std::to_string(data.size()) + " data bytes of the file" +
                download_again);
  std::size_t expected = size_bytes(*type);
  bool too_large = false;
  for (const auto side : *shape)
    too_large |= __builtin_mul_overflow(expected, static_cast<std::size_t>(side), &expected);
  if (too_large || expected != end - begin)
    throw Error(at + std::string(name(*type)) + " " + shape_text(*shape) + " needs " +
                (too_large ? "more than 2^64" : std::to_string(expected)) + " bytes, data_offsets give " +
                std::to_string(end - begin) + download_again);
  const std::byte* first = data.data() + begin;
  if (reinterpret_cast<std::uintptr_t>(first) % size_bytes(*type) != 0)
    throw Error(at +
                "data is not aligned to its element size; save the checkpoint again with safetensors >= 0.3");
  return {*type, *shape, first, end - begin, tensor_name};
}

}  // namespace

std::vector<TensorView> parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  std::uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes)
    throw Error(where + ": " + std::to_string(file.size()) + " bytes are too few for a safetensors file" +
                download_again);
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  if (header_bytes > max_header_bytes || header_bytes > file.size() - sizeof header_bytes)
    throw Error(where + ": header of " + std::to_string(header_bytes) + " bytes announced, the file has " +
                std::to_string(file.size()) + " bytes and at most " + std::to_string(max_header_bytes) +
                " are allowed; not a safetensors file, or cut short: download the file again");
  const auto header = file.subspan(sizeof header_bytes, header_bytes);
  const auto data = file.subspan(sizeof header_bytes + header_bytes);
  const json root = parse_json({reinterpret_cast<const char*>(header.data()), header.size()}, where);
  if (!root.is_object()) throw Error(where + ": the header is not a JSON object" + download_again);

  std::vector<TensorView> tensors;
  for (const auto& [key, entry] : root.items())
    if (key != "__metadata__") tensors.push_back(parse_entry(key, entry, data, where));

  std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return std::pair(a.data, a.bytes) < std::pair(b.data, b.bytes);
  });
  const std::byte* filled = data.data();
  for (const auto& tensor : tensors) {
    if (tensor.data != filled)
      throw Error(where + ": tensor " + shown(tensor.name) +
                  (tensor.data < filled ? " overlaps the one before it" : " leaves a gap before it") +
                  download_again);
    filled += tensor.bytes;
  }
  if (filled != data.data() + data.size())
    throw Error(where + ": " + std::to_string(data.data() + data.size() - filled) +
                " bytes after the last tensor belong to none" + download_again);
  return tensors;
}

void Checkpoint::add_shard(const std::filesystem::path& path) {
  shards_.push_back({path, MappedFile(path)});
  for (auto& view : parse_safetensors(shards_.back().file.bytes(), path.string())) {
    const auto [it, is_new] = tensors_.try_emplace(view.name, Entry{view, shards_.size() - 1});
    if (!is_new)
      throw Error(path.string() + ": tensor " + shown(view.name) + " is also in " +
                  shards_[it->second.shard].path.filename().string() +
                  "; remove the file that does not belong");
  }
}

Checkpoint Checkpoint::open(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw Error(folder.string() + ": no such folder; give a model folder");
  const fs::path index_path = folder / "model.safetensors.index.json";

  if (fs::exists(folder / "model.safetensors", ignored)) {
    checkpoint.add_shard(folder / "model.safetensors");
  } else if (fs::exists(index_path, ignored)) {
    const json index = parse_json(base::read_file(index_path, max_header_bytes), index_path.string());
    const auto map = index.find("weight_map");
    if (!index.is_object() || map == index.end() || !map->is_object())
      throw Error(index_path.string() + ": no weight_map" + download_again);
    std::set<std::string> files;
    for (const auto& [key, file] : map->items()) {
      if (!file.is_string() || fs::path(file.get<std::string>()).filename() != file.get<std::string>())
        throw Error(index_path.string() + ": the file of tensor " + shown(key) + " is not a plain file name");
      files.insert(file.get<std::string>());
    }
    for (const auto& file : files) {
      if (!fs::exists(folder / file, ignored))
        throw Error(index_path.string() + ": shard " + shown(file) + " is missing; download it into " +
                    folder.string());
      checkpoint.add_shard(folder / file);
    }
    for (const auto& [key, file] : map->items()) {
      const auto it = checkpoint.tensors_.find(key);
      if (it == checkpoint.tensors_.end() ||
          checkpoint.shards_[it->second.shard].path.filename() != file.get<std::string>())
        throw Error(index_path.string() + ": tensor " + shown(key) + " is not in " +
                    shown(file.get<std::string>()) +
                    "; index and shards do not belong together, download both again");
    }
  } else {
    std::vector<fs::path> files;
    for (const auto& item : fs::directory_iterator(folder))
      if (item.path().extension() == ".safetensors") files.push_back(item.path());
    std::sort(files.begin(), files.end());
    if (files.empty())
      throw Error(folder.string() + ": no *.safetensors file; give a folder with safetensors weights");
    for (const auto& file : files) checkpoint.add_shard(file);
  }
  return checkpoint;
}

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second.view;
}

const TensorView& Checkpoint::require(std::string_view wanted, const std::vector<std::int64_t>& shape) const {
  const TensorView* tensor = find(wanted);
  if (!tensor)
    throw Error(folder_.string() + ": tensor " + shown(wanted) + " " + shape_text(shape) +
                " is not among the " + std::to_string(tensors_.size()) + " tensors of the checkpoint" +
                (tensors_.empty() ? "" : " (the first is " + shown(tensors_.begin()->first) + ")") +
                "; config.json and weights must belong together");
  if (!is_float(tensor->dtype) || tensor->shape != shape)
    throw Error(file_of(*tensor).string() + ": tensor " + shown(wanted) + " is " +
                std::string(name(tensor->dtype)) + " " + shape_text(tensor->shape) +
                ", expected F32, F16 or BF16 " + shape_text(shape) +
                "; config.json and weights must belong together");
  return *tensor;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> all;
  for (const auto& [key, entry] : tensors_) all.push_back(key);
  return all;
}

std::size_t Checkpoint::total_bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, entry] : tensors_) sum += entry.view.bytes;
  return sum;
}

base::Hash128 Checkpoint::content_hash() const {
  constexpr std::size_t piece_bytes = std::size_t{16} << 20;
  base::Hasher hasher;
  for (const auto& [key, entry] : tensors_) {
    hasher.add(std::string_view(key))
        .add(name(entry.view.dtype))
        .add(static_cast<std::uint64_t>(entry.view.shape.size()));
    for (const auto side : entry.view.shape) hasher.add(static_cast<std::uint64_t>(side));
    for (std::size_t at = 0; at < entry.view.bytes; at += piece_bytes) {
      const std::span piece(entry.view.data + at, std::min(piece_bytes, entry.view.bytes - at));
      hasher.add(piece);
      shards_[entry.shard].file.release(piece);
    }
  }
  return hasher.digest();
}

void Checkpoint::release(const TensorView& tensor) const {
  const auto it = tensors_.find(tensor.name);
  if (it != tensors_.end()) shards_[it->second.shard].file.release({tensor.data, tensor.bytes});
}

const std::filesystem::path& Checkpoint::file_of(const TensorView& tensor) const {
  const auto it = tensors_.find(tensor.name);
  return it == tensors_.end() ? folder_ : shards_[it->second.shard].path;
}

}  // namespace assize::tensor
