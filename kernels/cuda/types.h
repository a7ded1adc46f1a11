#pragma once

#include <cstdint>

struct CUstream_st;

/// CUDA kernels of assize. A launch function takes raw device pointers, sizes and a stream, starts its
/// kernels on that stream and returns without waiting. The caller has checked shapes and alignment; a launch
/// with no work succeeds at once. These headers need neither CUDA nor its emulation.
namespace assize::kernels::cuda {

/// cudaStream_t under its own name.
using Stream = CUstream_st*;
/// The cudaError_t of a launch; 0 is success.
using Status = int;
/// Bits of a bfloat16.
using Bf16 = std::uint16_t;

/// Tokens of a KV block.
inline constexpr int kBlockTokens = 64;
/// Attention sums over keys in chunks of this many tokens at absolute positions and merges the chunks in
/// order.
inline constexpr int kChunkTokens = 512;
inline constexpr int kChunkBlocks = kChunkTokens / kBlockTokens;

}  // namespace assize::kernels::cuda
