#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/error.h"
#include "support/catch.h"
#include "tensor/safetensors.h"

namespace fs = std::filesystem;
using namespace assize::tensor;
using assize::base::Error;
using Catch::Matchers::Contains;

namespace {

std::string file_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t size = header.size();
  std::string bytes(sizeof size, '\0');
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes + header + data;
}

/// Copy in memory aligned for every dtype.
struct Aligned {
  explicit Aligned(const std::string& bytes) : words(bytes.size() / 8 + 1), size(bytes.size()) {
    std::memcpy(words.data(), bytes.data(), bytes.size());
  }
  std::span<const std::byte> span() const { return {reinterpret_cast<const std::byte*>(words.data()), size}; }
  std::vector<std::uint64_t> words;
  std::size_t size;
};

/// Header padded with blanks so that the data starts at a multiple of 8.
std::string padded(std::string header) {
  header.append((8 - header.size() % 8) % 8, ' ');
  return header;
}

std::vector<TensorView> parse(const std::string& header, std::size_t data_bytes) {
  static std::vector<Aligned> kept;  // views point into it
  kept.emplace_back(file_bytes(padded(header), std::string(data_bytes, '\1')));
  return parse_safetensors(kept.back().span(), "w.safetensors");
}

std::string refusal(const std::string& header, std::size_t data_bytes) {
  try {
    parse(header, data_bytes);
  } catch (const Error& e) {
    return e.what();
  }
  return "(accepted)";
}

struct Folder {
  Folder() {
    static int counter = 0;
    path = fs::temp_directory_path() /
           ("assize_safetensors_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
  }
  fs::path path;
};

std::string one_tensor(const std::string& name, char fill = '\2') {
  return file_bytes(padded(R"({")" + name + R"(":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}})"),
                    std::string(12, fill));
}

std::string error_of(const fs::path& folder) {
  try {
    Checkpoint::open(folder);
  } catch (const Error& e) {
    return e.what();
  }
  return "(accepted)";
}

}  // namespace

TEST_CASE("a header is read: names, dtypes, shapes, scalars, empty tensors, metadata") {
  const auto tensors = parse(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[3],"data_offsets":[4,10]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"none":{"dtype":"I64","shape":[0,5],"data_offsets":[0,0]},)"
      R"("flag":{"dtype":"BOOL","shape":[1,1],"data_offsets":[10,11]}})",
      11);
  REQUIRE(tensors.size() == 4);
  CHECK(tensors[0].name == "none");
  CHECK(tensors[0].elements() == 0);
  CHECK(tensors[1].name == "a");
  CHECK(tensors[1].shape.empty());
  CHECK(tensors[1].elements() == 1);
  CHECK(tensors[2].dtype == DType::f16);
  CHECK(tensors[2].data == tensors[1].data + 4);
  CHECK(tensors[3].dtype == DType::boolean);
}

TEST_CASE("lying headers are refused with the tensor and the numbers") {
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7),
             Contains("'a'") && Contains("[0, 8]") && Contains("7 data bytes"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
             Contains("F32 [3] needs 12 bytes") && Contains("give 8"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})", 8),
             Contains("more than 2^64"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8), Contains("[8, 0]"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), Contains("shape"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8), Contains("shape"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8), Contains("data_offsets"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}})", 8),
             Contains("data_offsets"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}})", 2),
             Contains("'F8_E4M3'") && Contains("BF16"));
  CHECK_THAT(refusal(R"({"a":{"shape":[2],"data_offsets":[0,2]}})", 2), Contains("dtype"));
  CHECK_THAT(refusal(R"({"a":7})", 0), Contains("not an object"));
  CHECK_THAT(refusal(R"([1])", 0), Contains("not a JSON object"));
  CHECK_THAT(refusal(R"({"a":)", 0), Contains("not valid JSON"));
  CHECK_THAT(refusal(std::string(40, '[') + std::string(40, ']'), 0), Contains("deeper"));
  const std::string twice = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  CHECK_THAT(refusal("{" + twice + "," + twice + "}", 1), Contains("'a' stands twice"));
  CHECK_THAT(refusal(R"({"b":{"dtype":"U8","dtype":"I32","shape":[4],"data_offsets":[0,4]}})", 4),
             Contains("'dtype' stands twice"));
}

TEST_CASE("overlaps, gaps, left-over and misaligned data are refused") {
  CHECK_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
          7),
      Contains("'b' overlaps"));
  CHECK_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
          4),
      Contains("overlaps"));
  CHECK_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})",
          9),
      Contains("'b' leaves a gap"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 6),
             Contains("2 bytes after the last"));
  CHECK_THAT(
      refusal(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F16","shape":[1],"data_offsets":[1,3]}})",
          3),
      Contains("'b'") && Contains("aligned"));
}

TEST_CASE("a file cut anywhere is refused, never read beyond its end") {
  const std::string whole = one_tensor("layer.weight");
  REQUIRE(parse_safetensors(Aligned(whole).span(), "w").size() == 1);
  for (std::size_t size = 0; size < whole.size(); ++size)
    REQUIRE_THROWS_AS(parse_safetensors(Aligned(whole.substr(0, size)).span(), "w"), Error);
  std::string huge = whole;
  std::memset(huge.data(), 0xFF, 8);
  REQUIRE_THROWS_WITH(parse_safetensors(Aligned(huge).span(), "w"),
                      Contains("18446744073709551615 bytes announced"));
}

TEST_CASE("messages about hostile names stay one short line") {
  const std::string message = refusal(R"({"a\n\u001b[2J)" + std::string(5000, 'x') + R"(":1})", 0);
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.find('\x1b') == std::string::npos);
  CHECK(message.size() < 400);
}

TEST_CASE("random valid files read back as written") {
  std::mt19937 random(11);
  for (int round = 0; round < 60; ++round) {
    struct Expected {
      DType dtype;
      std::vector<std::int64_t> shape;
      std::string bytes;
    };
    std::map<std::string, Expected> expected;
    std::string header = "{", data;
    const int count = static_cast<int>(random() % 12);
    // Widest elements first, as the official writer does, so that all data is aligned.
    for (const DType type :
         {DType::i64, DType::f32, DType::i32, DType::bf16, DType::f16, DType::u8, DType::boolean}) {
      for (int i = 0; i < count; ++i) {
        if (random() % 3 == 0) continue;
        Expected tensor{type, {}, ""};
        std::size_t elements = 1;
        for (unsigned rank = random() % 4; rank > 0; --rank) {
          tensor.shape.push_back(static_cast<std::int64_t>(random() % 5));
          elements *= static_cast<std::size_t>(tensor.shape.back());
        }
        for (std::size_t b = 0; b < elements * size_bytes(type); ++b)
          tensor.bytes += static_cast<char>(random());
        const std::string key = "t" + std::to_string(random()) + std::string(name(type)) + std::to_string(i);
        std::string shape;
        for (const auto side : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(side);
        header += (header.size() > 1 ? ", \"" : "\"") + key + "\": {\"dtype\": \"" + std::string(name(type)) +
                  "\", \"shape\": [" + shape + "], \"data_offsets\": [" + std::to_string(data.size()) + "," +
                  std::to_string(data.size() + tensor.bytes.size()) + "]}";
        data += tensor.bytes;
        expected[key] = tensor;
      }
    }
    const Aligned file(file_bytes(padded(header + "}"), data));
    const auto tensors = parse_safetensors(file.span(), "w");
    REQUIRE(tensors.size() == expected.size());
    for (const auto& tensor : tensors) {
      const auto& wanted = expected.at(tensor.name);
      REQUIRE(tensor.dtype == wanted.dtype);
      REQUIRE(tensor.shape == wanted.shape);
      REQUIRE(tensor.bytes == wanted.bytes.size());
      REQUIRE(std::memcmp(tensor.data, wanted.bytes.data(), tensor.bytes) == 0);
    }
  }
}

TEST_CASE("a checkpoint hands out tensors with the asked shape, or says both") {
  const Folder folder;
  folder.write("model.safetensors", one_tensor("w"));
  const auto checkpoint = Checkpoint::open(folder.path);
  const auto& w = checkpoint.require("w", {2, 3});
  CHECK(w.bytes == 12);
  CHECK(element_f32(w, 5) == bf16_to_f32(0x0202));
  float two[2];
  copy_f32(w, 4, 2, two);
  CHECK(two[1] == bf16_to_f32(0x0202));
  CHECK_THROWS_WITH(copy_f32(w, 5, 2, two), Contains("'w'"));
  CHECK(checkpoint.find("v") == nullptr);
  CHECK(checkpoint.names() == std::vector<std::string>{"w"});
  CHECK(checkpoint.total_bytes() == 12);
  CHECK(checkpoint.file_of(w).filename() == "model.safetensors");
  CHECK_THROWS_WITH(checkpoint.require("w", {3, 2}), Contains("model.safetensors") &&
                                                         Contains("'w' is BF16 [2, 3]") &&
                                                         Contains("expected") && Contains("[3, 2]"));
  CHECK_THROWS_WITH(checkpoint.require("v", {1}), Contains("'v' [1]") && Contains("first is 'w'"));
  folder.write("model.safetensors",
               file_bytes(padded(R"({"n":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})"), "abcd"));
  CHECK_THROWS_WITH(Checkpoint::open(folder.path).require("n", {1}),
                    Contains("I32") && Contains("F32, F16 or BF16"));
}

TEST_CASE("shards: index, missing shard, wrong index, symlinks, no index") {
  const Folder folder;
  folder.write("a-1.safetensors", one_tensor("x", '\1'));
  folder.write("a-2.safetensors", one_tensor("y", '\2'));
  CHECK(Checkpoint::open(folder.path).names() == std::vector<std::string>{"x", "y"});

  folder.write("model.safetensors.index.json",
               R"({"metadata":{},"weight_map":{"x":"a-1.safetensors","y":"a-2.safetensors"}})");
  CHECK(Checkpoint::open(folder.path).find("y"));
  const auto hash = Checkpoint::open(folder.path).content_hash();

  const Folder snapshot;  // as the Hugging Face cache lays it out: links into a store
  for (const auto& item : fs::directory_iterator(folder.path))
    fs::create_symlink(item.path(), snapshot.path / item.path().filename());
  CHECK(Checkpoint::open(snapshot.path).content_hash() == hash);

  fs::remove(folder.path / "a-2.safetensors");
  CHECK_THAT(error_of(folder.path), Contains("index.json") && Contains("'a-2.safetensors' is missing"));
  folder.write("a-2.safetensors", one_tensor("z"));
  CHECK_THAT(error_of(folder.path), Contains("'y' is not in 'a-2.safetensors'"));
  folder.write("a-2.safetensors", one_tensor("x"));
  CHECK_THAT(error_of(folder.path), Contains("a-2.safetensors: tensor 'x' is also in a-1.safetensors"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"x":"../secret.safetensors"}})");
  CHECK_THAT(error_of(folder.path), Contains("plain file name"));
  folder.write("model.safetensors.index.json", R"({"weights":{}})");
  CHECK_THAT(error_of(folder.path), Contains("no weight_map"));
  folder.write("model.safetensors.index.json", R"([])");
  CHECK_THAT(error_of(folder.path), Contains("no weight_map"));
}

TEST_CASE("folders without weights are refused") {
  const Folder folder;
  CHECK_THAT(error_of(folder.path), Contains("no *.safetensors"));
  CHECK_THAT(error_of(folder.path / "absent"), Contains("no such folder"));
  folder.write("model.safetensors", "");
  CHECK_THAT(error_of(folder.path), Contains("too few"));
}

TEST_CASE("the content hash sees each byte, name, dtype and shape, and no shard cut") {
  const auto hash_of = [](std::vector<std::string> files) {
    const Folder folder;
    for (std::size_t i = 0; i < files.size(); ++i) folder.write(std::to_string(i) + ".safetensors", files[i]);
    return Checkpoint::open(folder.path).content_hash();
  };
  const std::string base = one_tensor("x");
  std::string changed = base;
  changed.back() = '\3';
  CHECK(hash_of({base}) == hash_of({base}));
  CHECK(hash_of({base}) != hash_of({changed}));
  CHECK(hash_of({base}) != hash_of({one_tensor("y")}));
  CHECK(hash_of({base}) !=
        hash_of({file_bytes(padded(R"({"x":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}})"),
                            std::string(12, '\2'))}));
  CHECK(hash_of({base}) !=
        hash_of({file_bytes(padded(R"({"x":{"dtype":"BF16","shape":[3,2],"data_offsets":[0,12]}})"),
                            std::string(12, '\2'))}));
  const std::string both = file_bytes(
      padded(
          R"({"x":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"y":{"dtype":"BF16","shape":[2,3],"data_offsets":[12,24]}})"),
      std::string(24, '\2'));
  CHECK(hash_of({both}) == hash_of({one_tensor("y"), one_tensor("x")}));
}

TEST_CASE("released pages read back the same") {
  const Folder folder;
  folder.write("model.safetensors", one_tensor("w"));
  const auto checkpoint = Checkpoint::open(folder.path);
  const auto& w = checkpoint.require("w", {2, 3});
  const float before = element_f32(w, 0);
  checkpoint.release(w);
  CHECK(element_f32(w, 0) == before);
}
