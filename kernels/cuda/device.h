#pragma once

// What the kernels (*.cu, *.cuh) see as CUDA: the toolkit's headers under nvcc (12.4 or later), the emulation
// of tests/cuda_emulation under a host compiler (ASSIZE_CUDA_EMULATION). Nothing else tests which of the two
// it is, except ptx.h. Kernels keep to what both have:
//  - dynamic shared memory only, by ASSIZE_SHARED(name); every byte is written before it is read;
//  - launches by `launch`, never <<<>>>; one parameter struct per kernel, passed by value;
//  - full-warp collectives, no return before a barrier, __syncwarp between lanes that exchange shared memory;
//  - no product and sum is one rounding unless written fmaf (nvcc -fmad=false), so that both give the same
//  bits.

#ifdef ASSIZE_CUDA_EMULATION
#include "tests/cuda_emulation/emulation.h"
#define ASSIZE_SHARED(name) unsigned char* const name = ::assize::cuda_emulation::shared_memory()
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#define ASSIZE_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif

#include <cstdint>

#include "kernels/cuda/types.h"

namespace assize::kernels::cuda {

/// Starts `kernel` on `grid` blocks of `threads` threads with `shared_bytes` of dynamic shared memory. An
/// empty grid is no work.
template <class Params>
Status launch(void (*kernel)(Params), dim3 grid, int threads, std::size_t shared_bytes, Stream stream,
              const Params& params) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return 0;
#ifdef ASSIZE_CUDA_EMULATION
  return cuda_emulation::launch(kernel, grid, threads, shared_bytes, stream, params);
#else
  if (shared_bytes > 48 * 1024)
    if (const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                       static_cast<int>(shared_bytes)))
      return error;
  void* arguments[] = {const_cast<Params*>(&params)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, dim3(threads), arguments, shared_bytes,
                          stream);
#endif
}

__device__ __forceinline__ float to_float(Bf16 value) {
  return __uint_as_float(static_cast<unsigned>(value) << 16);
}

/// Round to nearest even.
__device__ __forceinline__ Bf16 to_bf16(float value) {
#ifdef ASSIZE_CUDA_EMULATION
  return cuda_emulation::round_to_bf16(value);
#else
  return __bfloat16_as_ushort(__float2bfloat16_rn(value));
#endif
}

/// Two values in one register, `low` in the low half.
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
#ifdef ASSIZE_CUDA_EMULATION
  return to_bf16(low) | static_cast<std::uint32_t>(to_bf16(high)) << 16;
#else
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const std::uint32_t*>(&pair);
#endif
}

}  // namespace assize::kernels::cuda
