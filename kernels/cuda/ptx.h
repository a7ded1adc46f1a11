#pragma once

// The instructions that CUDA C++ has no function for: inline PTX here, the emulation's model of them there.
// No other file holds assembly.

#include "kernels/cuda/device.h"

#ifdef ASSIZE_CUDA_EMULATION
#define ASSIZE_AT , cuda_emulation::Place at = cuda_emulation::Place::here()
#else
#define ASSIZE_AT
#endif

namespace assize::kernels::cuda {

#ifndef ASSIZE_CUDA_EMULATION
__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}
#endif

/// d += a b for one 16x8x16 tile of bf16, f32 accumulators. Lane l, g = l / 4, t = l % 4: a[i] is row g + 8
/// (i & 1), columns 2 t + 8 (i >> 1) and the next; b0, b1 rows 2 t (+ 8) and the next of column g; d[i] row g
/// + 8 (i >> 1), column 2 t + (i & 1).
__device__ __forceinline__ void multiply(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                         std::uint32_t b1 ASSIZE_AT) {
#ifdef ASSIZE_CUDA_EMULATION
  const std::uint32_t b[2] = {b0, b1};
  cuda_emulation::multiply(d, a, b, at);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

/// Four 8x8 tiles of 16-bit values from shared memory: lane l names row l % 8 of tile l / 8 (16 aligned
/// bytes) and gets of tile m in registers[m] the values (l / 4, 2 (l % 4)) and the next.
__device__ __forceinline__ void load_matrices(std::uint32_t (&registers)[4], const void* row ASSIZE_AT) {
#ifdef ASSIZE_CUDA_EMULATION
  cuda_emulation::load_matrices(registers, row, false, at);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row))
               : "memory");
#endif
}

/// The same with each tile transposed.
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&registers)[4],
                                                         const void* row ASSIZE_AT) {
#ifdef ASSIZE_CUDA_EMULATION
  cuda_emulation::load_matrices(registers, row, true, at);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(shared_address(row))
               : "memory");
#endif
}

/// Starts to copy 16 aligned bytes from global to shared memory, or zeros where !valid (`global` must still
/// be a valid address).
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid ASSIZE_AT) {
#ifdef ASSIZE_CUDA_EMULATION
  cuda_emulation::copy_async(shared, global, valid, at);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
#endif
}

/// Ends a group of copies of this thread.
__device__ __forceinline__ void commit_copies() {
#ifdef ASSIZE_CUDA_EMULATION
  cuda_emulation::commit_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits for all but the kPending youngest groups of this thread; others see them after a barrier.
template <int kPending>
__device__ __forceinline__ void wait_copies() {
#ifdef ASSIZE_CUDA_EMULATION
  cuda_emulation::wait_copies(kPending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

/// 2^x, relative error below 2^-22; 1 at 0, 0 at -infinity.
__device__ __forceinline__ float power_of_two(float x) {
#ifdef ASSIZE_CUDA_EMULATION
  return std::exp2(x);
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

}  // namespace assize::kernels::cuda

#undef ASSIZE_AT
