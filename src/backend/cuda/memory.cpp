#include "backend/cuda/memory.h"

#include <algorithm>

#include "base/error.h"

namespace assize::backend::cuda {

namespace {

constexpr std::size_t kAlignment = 256;
constexpr double kMebibyte = 1024.0 * 1024;

std::string mebibytes(std::size_t bytes) {
  return std::to_string(static_cast<std::size_t>(static_cast<double>(bytes) / kMebibyte + 0.5)) + " MiB";
}

}  // namespace

Arena::Arena() {
  std::size_t free = 0, total = 0;
  ASSIZE_CUDA(cudaMemGetInfo(&free, &total));
  // Kernels, cuBLASLt and NCCL load code and keep buffers of their own: a twentieth of the GPU, 1 GiB at most.
  const std::size_t reserve = std::min<std::size_t>(total / 20, std::size_t{1} << 30);
  if (free <= reserve) {
    throw base::Error("no memory is free on " + place() + ": " + mebibytes(free) + " of " + mebibytes(total) +
                          "; see in nvidia-smi what else holds it",
                      base::ErrorKind::failed);
  }
  size_ = (free - reserve) / kAlignment * kAlignment;
  void* memory = nullptr;
  ASSIZE_CUDA(cudaMalloc(&memory, size_));
  base_ = static_cast<std::byte*>(memory);
}

Arena::~Arena() { cudaFree(base_); }

void Arena::require(std::size_t bytes, const char* what) const {
  if (bytes <= left()) return;
  throw base::Error("the GPU is full: " + mebibytes(bytes) + " for " + what + " are wanted, " + mebibytes(left()) + " of " +
                        mebibytes(size_) + " are left on " + place() +
                        "; lower engine.kv_memory_gib, engine.slots or engine.step_rows, or raise "
                        "parallel.tensor_parallel",
                    base::ErrorKind::failed);
}

std::byte* Arena::spare(std::size_t least, const char* what) const {
  require(least, what);
  return base_ + used_;
}

void* Arena::take(std::size_t bytes, const char* what) {
  const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  require(rounded, what);
  void* memory = base_ + used_;
  used_ += rounded;
  return memory;
}

PinnedBuffer::PinnedBuffer(std::size_t bytes) : bytes_(bytes) { ASSIZE_CUDA(cudaMallocHost(&data_, bytes)); }
PinnedBuffer::~PinnedBuffer() { cudaFreeHost(data_); }

StreamHandle::StreamHandle() { ASSIZE_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
StreamHandle::~StreamHandle() { cudaStreamDestroy(stream_); }

EventHandle::EventHandle(bool timing) {
  ASSIZE_CUDA(cudaEventCreateWithFlags(&event_, timing ? cudaEventDefault : cudaEventDisableTiming));
}
EventHandle::~EventHandle() { cudaEventDestroy(event_); }

}  // namespace assize::backend::cuda
