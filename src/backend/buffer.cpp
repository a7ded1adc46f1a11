#include "backend/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "base/error.h"

namespace assize::backend {

Buffer::Buffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const bool is_huge = bytes >= 2 * kHugePage;
  const std::size_t mapped = is_huge ? bytes + kHugePage : bytes;
  void* memory =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw base::Error("out of memory: the system refused " + std::to_string(bytes >> 20) +
                          " MiB; use a smaller model, fewer KV blocks or a machine with more memory",
                      base::ErrorKind::failed);
  data_ = static_cast<std::byte*>(memory);
  if (!is_huge) return;
  // A huge page begins at a multiple of its size: what lies before the first is given back.
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(data_) % kHugePage) % kHugePage;
  if (before > 0) munmap(data_, before);
  data_ += before;
  bytes_ = mapped - before;
  madvise(data_, bytes_, MADV_HUGEPAGE);
}

Buffer::~Buffer() {
  if (data_) munmap(data_, bytes_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void Buffer::reserve(std::size_t bytes) {
  if (bytes > bytes_) *this = Buffer(bytes);
}

std::shared_ptr<std::byte> Arena::take(std::size_t bytes) {
  constexpr std::size_t kChunkBytes = std::size_t{64} << 20, kAlignment = 64;
  if (!chunk_ || chunk_->bytes() - used_ < bytes) {
    chunk_ = std::make_shared<Buffer>(std::max(bytes, kChunkBytes));
    used_ = 0;
  }
  std::shared_ptr<std::byte> part(chunk_, chunk_->data() + used_);
  used_ += std::min(chunk_->bytes() - used_, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  return part;
}

}  // namespace assize::backend
