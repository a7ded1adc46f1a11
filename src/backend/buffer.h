#pragma once

#include <cstddef>
#include <memory>

namespace assize::backend {

/// Zeroed memory, aligned to 64 bytes; large buffers ask for huge pages. Untouched pages take no memory.
class Buffer {
 public:
  Buffer() = default;
  /// Throws Error if the system has no `bytes` left.
  explicit Buffer(std::size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::byte* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  /// At least as many as were asked for.
  std::size_t bytes() const { return bytes_; }

  /// Makes it at least `bytes` large; the content is lost when it grows.
  void reserve(std::size_t bytes);

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Parts of large buffers, so that small matrices lie in huge pages too: a product that streams its weights from small
/// pages loses a quarter of its speed to translations of addresses.
class Arena {
 public:
  /// Zeroed memory, aligned to 64 bytes, that lives as long as its owner. Throws Error if the system has no `bytes` left.
  std::shared_ptr<std::byte> take(std::size_t bytes);

 private:
  std::shared_ptr<Buffer> chunk_;
  std::size_t used_ = 0;
};

}  // namespace assize::backend
