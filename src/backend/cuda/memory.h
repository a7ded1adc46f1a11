#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/cuda/check.h"

namespace assize::backend::cuda {

/// The GPU's memory, taken once at the start and handed out in order; nothing is given back before the end.
class Arena {
 public:
  /// Takes what is free, less a reserve for what the libraries load later.
  Arena();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` for `what`, aligned to 256. Throws Error with the figures when they are not left.
  void* take(std::size_t bytes, const char* what);
  template <class T>
  T* take_array(std::size_t count, const char* what) {
    return static_cast<T*>(take(count * sizeof(T), what));
  }
  std::size_t left() const { return size_ - used_; }
  /// The left() bytes that are not handed out, `least` of them or more, aligned to 256, for use before the next take().
  /// Throws Error as take() does.
  std::byte* spare(std::size_t least, const char* what) const;

 private:
  void require(std::size_t bytes, const char* what) const;

  std::byte* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
};

/// Device memory that grows with what is asked of it; the content is lost when it does.
template <class T>
class DeviceArray {
 public:
  /// At least `count` elements.
  T* reserve(Arena& arena, std::size_t count, const char* what) {
    if (count > capacity_) {
      capacity_ = count + count / 2;
      data_ = arena.take_array<T>(capacity_, what);
    }
    return data_;
  }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  std::size_t capacity_ = 0;
};

/// Pinned host memory, which copies to and from the device need.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(std::size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A stream and its end.
class StreamHandle {
 public:
  StreamHandle();
  ~StreamHandle();
  StreamHandle(const StreamHandle&) = delete;
  StreamHandle& operator=(const StreamHandle&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// An event; `timing`: one that elapsed time can be read from.
class EventHandle {
 public:
  explicit EventHandle(bool timing = false);
  ~EventHandle();
  EventHandle(const EventHandle&) = delete;
  EventHandle& operator=(const EventHandle&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace assize::backend::cuda
