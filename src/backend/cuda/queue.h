#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "backend/cuda/collective.h"
#include "backend/cuda/memory.h"
#include "kernels/cuda/types.h"

namespace assize::backend::cuda {

using kernels::cuda::Bf16;

/// The stream of all computing, the one of large copies, and the pinned memory they go through. Nothing is
/// waited for but where the host needs a result or pinned memory runs out.
class Queue {
 public:
  Queue(Arena& arena, Collective& collective) : arena_(arena), collective_(collective) {}

  Arena& arena() { return arena_; }
  cudaStream_t stream() const { return compute_; }
  /// The same as kernels take it.
  kernels::cuda::Stream kernels() const { return static_cast<cudaStream_t>(compute_); }

  /// Copies a small array of the host to the device, in the order of the computing. The host's may change at
  /// once.
  void upload(const void* from, std::size_t bytes, void* to);

  /// Copies a large array piece by piece on the copy stream, while the host fills the next piece:
  /// fill(piece, first, count) writes elements [first, first + count) of `size` bytes each. What computes
  /// before this call still sees the old content, what comes after it the new.
  template <class Fill>
  void upload_large(std::size_t count, std::size_t size, void* to, const Fill& fill) {
    begin_large();
    const std::size_t most = kPieceBytes / size;
    for (std::size_t first = 0; first < count; first += most) {
      const std::size_t part = std::min(most, count - first);
      std::byte* const piece = next_piece();
      fill(piece, first, part);
      send_piece(piece, part * size, static_cast<std::byte*>(to) + first * size);
    }
    end_large();
  }

  /// Copies device memory to the host and waits for it.
  void download(const void* from, std::size_t bytes, void* to);

  /// Waits for everything queued so far.
  void wait();

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
  static constexpr std::size_t kStagingBytes = std::size_t{4} << 20;

  void begin_large();
  std::byte* next_piece();
  void send_piece(const std::byte* piece, std::size_t bytes, void* to);
  void end_large();

  Arena& arena_;
  Collective& collective_;
  StreamHandle compute_, copy_;
  EventHandle computed_, copied_;
  PinnedBuffer staging_{kStagingBytes};
  std::size_t staged_ = 0;  ///< bytes of staging that copies under way may still read
  PinnedBuffer pieces_[2] = {PinnedBuffer(kPieceBytes), PinnedBuffer(kPieceBytes)};
  EventHandle piece_sent_[2];
  bool piece_used_[2] = {false, false};
  int piece_ = 0;
};

/// An array of the step on the device. Every layer of a step asks for the same content: it is sent once.
template <class T>
class StepArray {
 public:
  const T* set(Queue& queue, std::span<const T> values, const char* what) {
    const bool same = known_ && values.size() == last_.size() &&
                      (values.empty() || std::memcmp(values.data(), last_.data(), values.size_bytes()) == 0);
    if (same) return device_.data();
    T* const device = device_.reserve(queue.arena(), std::max<std::size_t>(values.size(), 1), what);
    queue.upload(values.data(), values.size_bytes(), device);
    last_.assign(values.begin(), values.end());
    known_ = true;
    return device;
  }
  const T* data() const { return device_.data(); }

 private:
  DeviceArray<T> device_;
  std::vector<T> last_;
  bool known_ = false;
};

}  // namespace assize::backend::cuda
