#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace assize::tensor {

/// A whole file mapped read-only into memory. Move-only.
class MappedFile {
 public:
  /// Maps `path` (symlinks followed). Throws Error with the path and the reason; an empty file maps to an
  /// empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_bytes_}; }

  /// Lets the system take back the memory behind `part` (a part of bytes()); reading it again is still valid
  /// and brings it in from the file once more.
  void release(std::span<const std::byte> part) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace assize::tensor
