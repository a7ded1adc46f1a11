#include "backend/cuda/queue.h"

#include <algorithm>

namespace assize::backend::cuda {

void Queue::upload(const void* from, std::size_t bytes, void* to) {
  // An array larger than the staging memory goes in parts.
  for (std::size_t first = 0; first < bytes;) {
    if (staged_ == kStagingBytes) wait();
    const std::size_t part = std::min(bytes - first, kStagingBytes - staged_);
    std::byte* const staged = staging_.data() + staged_;
    std::memcpy(staged, static_cast<const std::byte*>(from) + first, part);
    ASSIZE_CUDA(cudaMemcpyAsync(static_cast<std::byte*>(to) + first, staged, part, cudaMemcpyHostToDevice, compute_));
    staged_ += part;
    first += part;
  }
}

void Queue::begin_large() {
  ASSIZE_CUDA(cudaEventRecord(computed_, compute_));
  ASSIZE_CUDA(cudaStreamWaitEvent(copy_, computed_, 0));
}

std::byte* Queue::next_piece() {
  piece_ = 1 - piece_;
  if (piece_used_[piece_]) ASSIZE_CUDA(cudaEventSynchronize(piece_sent_[piece_]));
  return pieces_[piece_].data();
}

void Queue::send_piece(const std::byte* piece, std::size_t bytes, void* to) {
  ASSIZE_CUDA(cudaMemcpyAsync(to, piece, bytes, cudaMemcpyHostToDevice, copy_));
  ASSIZE_CUDA(cudaEventRecord(piece_sent_[piece_], copy_));
  piece_used_[piece_] = true;
}

void Queue::end_large() {
  ASSIZE_CUDA(cudaEventRecord(copied_, copy_));
  ASSIZE_CUDA(cudaStreamWaitEvent(compute_, copied_, 0));
}

void Queue::download(const void* from, std::size_t bytes, void* to) {
  // Through the staging memory, which is free once everything before has been waited for.
  wait();
  for (std::size_t first = 0; first < bytes; first += kStagingBytes) {
    const std::size_t part = std::min(bytes - first, kStagingBytes);
    ASSIZE_CUDA(cudaMemcpyAsync(staging_.data(), static_cast<const std::byte*>(from) + first, part,
                                cudaMemcpyDeviceToHost, compute_));
    wait();
    std::memcpy(static_cast<std::byte*>(to) + first, staging_.data(), part);
  }
}

void Queue::wait() {
  collective_.wait(compute_);
  staged_ = 0;
}

}  // namespace assize::backend::cuda
