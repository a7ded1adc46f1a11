#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "tensor/mapped_file.h"
#include "tensor/tensor_view.h"

namespace assize::tensor {

/// The largest JSON header a safetensors file may have.
inline constexpr std::size_t max_header_bytes = 100'000'000;

/// The tensors of one safetensors file held in `file`: 8-byte little-endian header length, JSON header
/// {name: {dtype, shape, data_offsets: [begin, end]}} with offsets from the end of the header, data.
/// Everything is checked: header size, JSON, dtypes, shape against bytes, offsets inside the file, no
/// overlap, no gap, alignment, no name twice. Throws Error; `where` (the path) stands in front of the
/// message.
std::vector<TensorView> parse_safetensors(std::span<const std::byte> file, const std::string& where);

/// The weights of a model folder in Hugging Face layout, memory-mapped. Move-only; views stay valid as long
/// as the checkpoint lives.
class Checkpoint {
 public:
  /// Opens `model.safetensors`, else the shards that `model.safetensors.index.json` names, else every
  /// `*.safetensors` of the folder. Symlinks are followed. Reads the headers only.
  /// Throws Error: no such files, a shard missing, a broken header, a tensor in two shards or in none.
  static Checkpoint open(const std::filesystem::path& folder);

  /// The float tensor (F32, F16 or BF16) `name` of exactly `shape`. Throws Error with the file and with the
  /// expected and the actual dtype and shape.
  const TensorView& require(std::string_view name, const std::vector<std::int64_t>& shape) const;

  /// The tensor, or nullptr if there is none of that name.
  const TensorView* find(std::string_view name) const;

  /// All names, sorted.
  std::vector<std::string> names() const;

  /// Bytes of all tensors together.
  std::size_t total_bytes() const;

  /// Hash over names, dtypes, shapes and all data in order of the names: equal for the same weights however
  /// they are cut into shards. Reads everything (as fast as the storage), holding little of it in memory.
  base::Hash128 content_hash() const;

  /// Lets the system take back the mapped pages of a tensor that has been copied or packed; the view stays
  /// readable. Without it the pages that were read count as resident memory of the process.
  void release(const TensorView& tensor) const;

  /// The file that holds the tensor; for messages.
  const std::filesystem::path& file_of(const TensorView& tensor) const;

 private:
  struct Shard {
    std::filesystem::path path;
    MappedFile file;
  };
  struct Entry {
    TensorView view;
    std::size_t shard = 0;
  };

  void add_shard(const std::filesystem::path& path);

  std::filesystem::path folder_;
  std::vector<Shard> shards_;
  std::map<std::string, Entry, std::less<>> tensors_;
};

}  // namespace assize::tensor
