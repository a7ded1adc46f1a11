#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

/// The emulated machine as the host sees it: settings, counters and device memory. A machine runs one launch
/// at a time; launches from several threads wait for each other.
namespace assize::cuda_emulation {

/// A fault that the emulation found in a kernel or in a launch: what, thread, file:line.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Which of the runnable threads of a block goes on.
enum class Order { forward, reverse, random };
/// When cp.async writes its bytes: at the wait for it, or at once. Right kernels allow both.
enum class CopyTime { late, early };

struct Settings {
  Order order = Order::forward;
  std::uint64_t seed = 1;  ///< of Order::random
  CopyTime copy_time = CopyTime::late;
};

/// Settings of the launches that follow.
Settings& settings();

/// Events since the last reset.
struct Counters {
  std::uint64_t launches = 0;
  std::uint64_t blocks = 0;
  std::uint64_t shared_bytes = 0;    ///< dynamic shared memory, the largest of a launch
  std::uint64_t switches = 0;        ///< between threads
  std::uint64_t products = 0;        ///< warp-wide mma
  std::uint64_t matrix_loads = 0;    ///< 8x8 tiles of ldmatrix
  std::uint64_t bank_conflicts = 0;  ///< extra passes over shared memory of ldmatrix
  std::uint64_t async_copies = 0;
  std::uint64_t async_bytes = 0;  ///< read from global memory by them
};
Counters& counters();

/// Device memory of exactly `bytes` bytes, 256-byte aligned, filled with 0xFF (NaN in every float format);
/// with the race checker or the address sanitizer nothing around it may be touched.
void* allocate(std::size_t bytes);
void release(void* memory);

/// From now on counts the bytes that cp.async reads from each page of [begin, begin + pages * page_bytes).
void watch_pages(const void* begin, std::size_t pages, std::size_t page_bytes);
/// Bytes read from each watched page since watch_pages.
std::span<const std::uint64_t> watched_bytes();

/// Takes the work of a launch: runs it now or, in stream order, later. Without one, launches run at once.
using Executor = std::function<void(void* stream, std::function<void()> work)>;
void set_executor(Executor executor);

/// The race checker is part of this program (its kernels are instrumented and racecheck.cpp is linked).
bool has_race_checker();

/// Launches are executed in another way too (the PTX interpreter), which knows one schedule only.
bool is_intercepted();

}  // namespace assize::cuda_emulation
