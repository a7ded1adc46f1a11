#pragma once

#include <cstdint>

/// Small kernels that try the emulated machine: right ones whose result is known, and faults it must find.
namespace assize::test {

enum class Probe {
  fragments,             ///< right: out[16 x 8] = a[16 x 16] b[8 x 16]^T through ldmatrix and mma
  transposed_fragments,  ///< right: the same with b [16 x 8], read by ldmatrix.trans
  return_before_barrier,
  two_barriers,
  collective_without_a_lane,
  shuffle_from_outside,
  split_warp,
  copy_never_waited_for,
  copy_misaligned,
  copy_outside_shared,
  shared_beyond_limit,
  // Found by the race checker only.
  missing_syncwarp,
  missing_barrier,
  read_before_wait,
  unwritten_shared,
  blocks_write_the_same,
  host_pointer,
  beyond_array,
};

/// One launch. `in` and `out` are device memory (host_pointer: `in` is not).
int launch_probe(Probe probe, const std::uint16_t* in, float* out);

}  // namespace assize::test
