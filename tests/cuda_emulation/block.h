#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/cuda_emulation/emulation.h"

/// The running block: what the scheduler, the instructions and the race checker share.
namespace assize::cuda_emulation {

inline constexpr int kMaxThreads = 1024;
inline constexpr std::size_t kMaxSharedBytes = 227 * 1024;

/// Observer of memory, installed by the race checker. Threads are numbered within the block.
struct Observer {
  void (*launch_begin)(const void* params, std::size_t params_bytes) = nullptr;
  void (*block_begin)() = nullptr;
  void (*block_barrier)() = nullptr;
  void (*warp_barrier)(int warp) = nullptr;
  void (*access)(const void* address, std::size_t bytes, bool write, int thread, Place at) = nullptr;
  void (*atomic)(void* address, std::size_t bytes, int thread, Place at) = nullptr;
  /// A cp.async has been issued (done = false) or has been waited for.
  void (*async)(void* address, std::size_t bytes, int thread, bool done, Place at) = nullptr;
  void (*memory)(void* address, std::size_t bytes, bool allocated) = nullptr;
  std::size_t guard_bytes = 0;  ///< kept free on both sides of device memory
};
extern Observer observer;

/// A launch as the host asks for it.
struct Launch {
  const void* kernel;
  const void* params;
  std::size_t params_bytes;
  dim3 grid;
  int threads;
  std::size_t shared_bytes;
};
/// Gets each launch in the machine's place; emulate() runs it there.
using Interceptor = std::function<void(const Launch&, const std::function<void()>& emulate)>;
void set_interceptor(Interceptor interceptor);

/// Thread of the block that runs now; -1 outside kernels.
int current_thread();
std::string thread_name(int thread);
std::string place_name(Place at);
std::size_t shared_bytes();
/// Whether the address lies in a thread's stack.
bool on_a_stack(const void* address);

/// Gives up the launch with this message: it throws Error.
[[noreturn]] void fail(const std::string& what);

/// Each lane named in `mask` brings a pointer to its operands; the last to arrive runs `combine` over all of
/// them. `kind` must be the same for all, compared by address of a string literal's text.
using Combine = void (*)(void* const lanes[32], std::uint32_t mask);
void collective(const char* kind, std::uint32_t mask, void* operands, Combine combine, Place at);

/// Copies that a thread has issued and not waited for, when it ends: an error. Called by the scheduler.
void begin_copies(int threads);
bool has_pending_copies(int thread);

}  // namespace assize::cuda_emulation
