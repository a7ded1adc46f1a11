#pragma once

// CUDA for a host compiler: what kernels/cuda/device.h includes instead of the toolkit. One fiber stands for
// each thread of a block, one operating-system thread runs them, blocks run one after another. Only what the
// kernels use is here. machine.h is the host's side.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__CUDACC__)
#error "the emulation is for host compilers"
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};

/// Rewritten at every switch between threads.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 gridDim;

namespace assize::cuda_emulation {

/// Where an operation is called from; std::source_location is not usable with clang 14.
struct Place {
  const char* file;
  int line;
  static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// Starts a kernel: entry(kernel, copy of params) is called once for each thread.
int launch_bytes(const void* kernel, void (*entry)(const void* kernel, const void* params),
                 const void* params, std::size_t params_bytes, dim3 grid, int threads,
                 std::size_t shared_bytes, void* stream);

template <class Params, class Stream>
int launch(void (*kernel)(Params), dim3 grid, int threads, std::size_t shared_bytes, Stream stream,
           const Params& params) {
  static_assert(std::is_trivially_copyable_v<Params>);
  return launch_bytes(
      reinterpret_cast<const void*>(kernel),
      [](const void* function, const void* p) {
        reinterpret_cast<void (*)(Params)>(const_cast<void*>(function))(*static_cast<const Params*>(p));
      },
      &params, sizeof params, grid, threads, shared_bytes, stream);
}

/// Dynamic shared memory of the running block, 1024-byte aligned.
unsigned char* shared_memory();
/// Lane of the running thread.
int lane();

// ---- collectives of a warp: each lane of `mask` leaves its operands, the last one to come combines them
// ----
std::uint64_t shuffle(std::uint32_t mask, std::uint64_t value, int source, Place at);
void sync_warp(std::uint32_t mask, Place at);
void sync_block(Place at);

// ---- instructions that kernels reach through kernels/cuda/ptx.h ----
/// d += a b of m16n8k16, bf16 operands, f32 accumulators.
void multiply(float* d, const std::uint32_t* a, const std::uint32_t* b, Place at);
/// Four 8x8 tiles of 16-bit elements; lane l names row l % 8 of tile l / 8.
void load_matrices(std::uint32_t* registers, const void* row, bool transposed, Place at);
/// 16 bytes, zeros where !valid.
void copy_async(void* shared, const void* global, bool valid, Place at);
void commit_copies();
/// Waits for all but the `pending` youngest groups.
void wait_copies(int pending);
/// Tells the race checker, where there is one, of an atomic access.
void atomic_access(void* address, std::size_t bytes, Place at);

inline std::uint16_t round_to_bf16(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

}  // namespace assize::cuda_emulation

inline constexpr unsigned kAssizeFullWarp = 0xffffffffu;

inline void __syncthreads(assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  assize::cuda_emulation::sync_block(at);
}
inline void __syncwarp(unsigned mask = kAssizeFullWarp,
                       assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  assize::cuda_emulation::sync_warp(mask, at);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source,
              assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = assize::cuda_emulation::shuffle(mask, bits, source & 31, at);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask,
                  assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  return __shfl_sync(mask, value, assize::cuda_emulation::lane() ^ lane_mask, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int distance,
                 assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  const int lane = assize::cuda_emulation::lane();
  return __shfl_sync(mask, value, lane >= distance ? lane - distance : lane, at);
}

// One operating-system thread: plain code is atomic. Kept out of the race checker's instrumentation, which is
// told.
#define ASSIZE_ATOMIC \
  template <class T>  \
  __attribute__((no_sanitize_thread)) T
ASSIZE_ATOMIC atomicAdd(T* address, T value,
                        assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  assize::cuda_emulation::atomic_access(address, sizeof(T), at);
  const T old = *address;
  *address = old + value;
  return old;
}
ASSIZE_ATOMIC atomicOr(T* address, T value,
                       assize::cuda_emulation::Place at = assize::cuda_emulation::Place::here()) {
  assize::cuda_emulation::atomic_access(address, sizeof(T), at);
  const T old = *address;
  *address = old | value;
  return old;
}
#undef ASSIZE_ATOMIC

inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline constexpr int min(int a, int b) { return a < b ? a : b; }
inline constexpr int max(int a, int b) { return a > b ? a : b; }

namespace assize::kernels::cuda {

/// e^x in the steps that nvcc compiles expf into, at most two steps of an f32 from the exact value. Kernels
/// find it before the host's, so that a sum of weights and the bin of a weight are those of nvcc's code, bit
/// for bit.
inline float expf(float x) {
  // The nearest whole power of two, by adding 1.5 * 2^23 and rounding down, limited to those of normal
  // numbers.
  const float part = std::fmin(std::fmax(std::fmaf(x, __uint_as_float(0x3bbb989d), 0.5f), 0.0f), 1.0f);
  const auto shifted = static_cast<float>(std::floor(static_cast<double>(part) * 252.0 + 12582913.0));
  const float whole = shifted - 12583039.0f;
  // log2(e) in two parts.
  const float rest =
      std::fmaf(x, __uint_as_float(0x32a57060), std::fmaf(x, __uint_as_float(0x3fb8aa3b), -whole));
  return std::exp2(rest) * __uint_as_float(__float_as_uint(shifted) << 23);
}

}  // namespace assize::kernels::cuda
