#include <sched.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "cuda_runtime_api.h"
#include "tests/cuda_emulation/machine.h"

namespace {

/// One recording of an event.
struct Ticket {
  cudaStream_t stream = nullptr;
  bool done = false;
};

struct Item {
  cuda_stand_in::Work work;
  std::shared_ptr<Ticket> wait;    ///< set: nothing to do but to wait
  std::shared_ptr<Ticket> record;  ///< set: nothing to do but to note that it was reached
};

struct Ranges {
  std::map<const char*, std::size_t> sizes;  ///< by first byte

  bool contains(const void* memory, std::size_t bytes) const {
    const auto* begin = static_cast<const char*>(memory);
    auto after = sizes.upper_bound(begin);
    if (after == sizes.begin()) return false;
    const auto& [first, size] = *std::prev(after);
    return begin + bytes <= first + size;
  }
};

std::mutex guard;
Ranges device_memory, pinned_memory;
std::map<int, std::size_t> bytes_used;          ///< by GPU
std::map<const void*, int> device_of_memory;
thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

std::size_t number_from_environment(const char* name, std::size_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// GPUs of the stand-in: ASSIZE_EMULATED_GPUS, 8 where it is absent.
int device_count() { return static_cast<int>(number_from_environment("ASSIZE_EMULATED_GPUS", 8)); }

/// Memory of one GPU: ASSIZE_EMULATED_GPU_MIB.
std::size_t device_bytes() { return number_from_environment("ASSIZE_EMULATED_GPU_MIB", 128) << 20; }

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

}  // namespace

struct CUstream_st {
  std::deque<Item> items;
};

struct StandInEvent {
  std::shared_ptr<Ticket> ticket;
};

namespace {

/// Does the work of `stream` up to `until` (null: all of it). False: another rank has to come first.
bool drain(cudaStream_t stream, const Ticket* until) {
  while (!stream->items.empty()) {
    Item& item = stream->items.front();
    if (item.wait && !item.wait->done && !drain(item.wait->stream, item.wait.get())) return false;
    if (item.work && !item.work()) return false;
    const auto reached = item.record;
    stream->items.pop_front();
    if (reached) reached->done = true;
    if (until && reached.get() == until) return true;
  }
  return true;
}

void drain_waiting(cudaStream_t stream, const Ticket* until) {
  while (!drain(stream, until)) ::sched_yield();
}

bool host_end_fits(const void* memory, std::size_t bytes) {
  const std::lock_guard lock(guard);
  return pinned_memory.contains(memory, bytes);
}

bool copy_is_valid(const void* to, const void* from, std::size_t to_bytes, std::size_t from_bytes,
                   cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToDevice:
      return cuda_stand_in::on_device(to, to_bytes) && host_end_fits(from, from_bytes);
    case cudaMemcpyDeviceToHost:
      return host_end_fits(to, to_bytes) && cuda_stand_in::on_device(from, from_bytes);
    case cudaMemcpyDeviceToDevice:
      return cuda_stand_in::on_device(to, to_bytes) && cuda_stand_in::on_device(from, from_bytes);
    case cudaMemcpyHostToHost:
      return false;
  }
  return false;
}

/// Kernels join the order of their stream.
void let_launches_enter_streams() {
  static std::once_flag once;
  std::call_once(once, [] {
    assize::cuda_emulation::set_executor([](void* stream, std::function<void()> work) {
      cuda_stand_in::enqueue(static_cast<cudaStream_t>(stream), [work = std::move(work)] {
        work();
        return true;
      });
    });
  });
}

}  // namespace

void cuda_stand_in::enqueue(cudaStream_t stream, Work work) {
  stream->items.push_back({std::move(work), nullptr, nullptr});
}

bool cuda_stand_in::on_device(const void* memory, std::size_t bytes) {
  const std::lock_guard lock(guard);
  return device_memory.contains(memory, bytes);
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = device_count() > 0 ? CUDART_VERSION : 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (device_count() == 0) return result(cudaErrorNoDevice);  // *count is not written
  *count = device_count();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= device_count()) return result(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= device_count()) return result(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = 9;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  const std::lock_guard lock(guard);
  *total_bytes = device_bytes();
  *free_bytes = device_bytes() - bytes_used[current_device];
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  const std::lock_guard lock(guard);
  if (bytes == 0 || bytes_used[current_device] + bytes > device_bytes()) {
    return result(cudaErrorMemoryAllocation);
  }
  void* made = assize::cuda_emulation::allocate(bytes);  // NaN in every float type
  bytes_used[current_device] += bytes;
  device_of_memory[made] = current_device;
  device_memory.sizes[static_cast<const char*>(made)] = bytes;
  *memory = made;
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory) {
  if (!memory) return cudaSuccess;
  const std::lock_guard lock(guard);
  const auto found = device_memory.sizes.find(static_cast<const char*>(memory));
  if (found == device_memory.sizes.end()) return result(cudaErrorInvalidValue);
  bytes_used[device_of_memory[memory]] -= found->second;
  assize::cuda_emulation::release(memory);
  device_memory.sizes.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
  const std::lock_guard lock(guard);
  *memory = std::malloc(bytes);
  if (!*memory) return result(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xFF, bytes);
  pinned_memory.sizes[static_cast<const char*>(*memory)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* memory) {
  if (!memory) return cudaSuccess;
  const std::lock_guard lock(guard);
  if (pinned_memory.sizes.erase(static_cast<const char*>(memory)) == 0) return result(cudaErrorInvalidValue);
  std::free(memory);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  let_launches_enter_streams();
  *stream = new CUstream_st;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;  // work that nobody waited for is dropped
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  drain_waiting(stream, nullptr);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (!drain(stream, nullptr)) {
    ::sched_yield();
    return cudaErrorNotReady;
  }
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (event->ticket) stream->items.push_back({nullptr, event->ticket, nullptr});
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new StandInEvent;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->ticket = std::make_shared<Ticket>(Ticket{stream, false});
  stream->items.push_back({nullptr, nullptr, event->ticket});
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->ticket && !event->ticket->done) drain_waiting(event->ticket->stream, event->ticket.get());
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  if (!begin->ticket || !end->ticket) return cudaErrorInvalidResourceHandle;
  if (!begin->ticket->done || !end->ticket->done) return cudaErrorNotReady;
  *milliseconds = 1;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return cudaMemcpy2DAsync(to, bytes, from, bytes, bytes, 1, kind, stream);
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  if (width == 0 || height == 0) return cudaSuccess;
  if (width > to_pitch || width > from_pitch ||
      !copy_is_valid(to, from, (height - 1) * to_pitch + width, (height - 1) * from_pitch + width, kind)) {
    return result(cudaErrorInvalidValue);
  }
  cuda_stand_in::enqueue(stream, [=] {
    for (std::size_t row = 0; row < height; ++row) {
      std::memmove(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
    }
    return true;
  });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!cuda_stand_in::on_device(memory, bytes)) return result(cudaErrorInvalidValue);
  cuda_stand_in::enqueue(stream, [=] {
    std::memset(memory, value, bytes);
    return true;
  });
  return cudaSuccess;
}
