#include "kernels/cuda/ptx.h"
#include "tests/cuda_emulation/probe_kernels.h"

namespace assize::test {

namespace {

using namespace kernels::cuda;

struct ProbeParams {
  const std::uint16_t* in;
  float* out;
};

template <Probe kProbe>
__global__ void probe_kernel(ProbeParams p) {
  ASSIZE_SHARED(shared);
  const int thread = threadIdx.x, lane = thread % 32;
  auto* const numbers = reinterpret_cast<float*>(shared);
  if constexpr (kProbe == Probe::fragments || kProbe == Probe::transposed_fragments) {
    // Rows of 16 values: a at rows 0 ... 15, then b.
    for (int i = thread; i < 16 * 16 + 16 * 8; i += 32) reinterpret_cast<std::uint16_t*>(shared)[i] = p.in[i];
    __syncwarp();
    std::uint32_t a[4], b[4];
    load_matrices(a, shared + lane % 16 * 32 + lane / 16 * 16);
    if constexpr (kProbe == Probe::fragments) {
      load_matrices(b, shared + 512 + lane % 8 * 32 + lane / 8 % 2 * 16);
    } else {
      load_matrices_transposed(b, shared + 512 + lane % 16 * 16);
    }
    float d[4] = {};
    multiply(d, a, b[0], b[1]);
    for (int i = 0; i < 4; ++i) p.out[(lane / 4 + 8 * (i >> 1)) * 8 + lane % 4 * 2 + (i & 1)] = d[i];
  }
  if constexpr (kProbe == Probe::return_before_barrier) {
    if (thread == 5) return;
    __syncthreads();
  }
  if constexpr (kProbe == Probe::two_barriers) {
    if (thread < 32) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  }
  if constexpr (kProbe == Probe::collective_without_a_lane) __syncwarp(0xfffffffe);
  if constexpr (kProbe == Probe::shuffle_from_outside) {
    if (lane < 16) p.out[lane] = __shfl_sync(0xffff, 1.0f, 20);
  }
  if constexpr (kProbe == Probe::split_warp) {
    if (lane < 16) {
      __syncwarp();
    } else {
      p.out[lane] = __shfl_sync(0xffffffff, 1.0f, 0);
    }
  }
  if constexpr (kProbe == Probe::copy_never_waited_for) copy_async(shared + thread * 16, p.in, true);
  if constexpr (kProbe == Probe::copy_misaligned) copy_async(shared, p.in + 1, true);
  if constexpr (kProbe == Probe::copy_outside_shared) copy_async(shared + 4096, p.in, true);
  if constexpr (kProbe == Probe::missing_syncwarp || kProbe == Probe::missing_barrier) {
    numbers[thread] = 1.0f;
    if constexpr (kProbe == Probe::missing_barrier) __syncwarp();
    p.out[thread] = numbers[kProbe == Probe::missing_syncwarp ? thread ^ 1 : 63 - thread];
  }
  if constexpr (kProbe == Probe::read_before_wait) {
    copy_async(shared + thread * 16, p.in, true);
    commit_copies();
    p.out[thread] = numbers[thread * 4];
    wait_copies<0>();
  }
  if constexpr (kProbe == Probe::unwritten_shared) p.out[thread] = numbers[thread];
  if constexpr (kProbe == Probe::blocks_write_the_same) p.out[thread] = 1.0f;
  if constexpr (kProbe == Probe::host_pointer) p.out[thread] = to_float(p.in[0]);
  if constexpr (kProbe == Probe::beyond_array) p.out[thread + 65] = 1.0f;
}

template <Probe kProbe>
int start(const ProbeParams& p, int threads, std::size_t shared_bytes, unsigned blocks = 1) {
  return launch(probe_kernel<kProbe>, dim3(blocks), threads, shared_bytes, nullptr, p);
}

}  // namespace

int launch_probe(Probe probe, const std::uint16_t* in, float* out) {
  const ProbeParams p{in, out};
  switch (probe) {
#define ASSIZE_PROBE(name, ...) \
  case Probe::name:             \
    return start<Probe::name>(p, __VA_ARGS__);
    ASSIZE_PROBE(fragments, 32, 1024)
    ASSIZE_PROBE(transposed_fragments, 32, 1024)
    ASSIZE_PROBE(return_before_barrier, 64, 0)
    ASSIZE_PROBE(two_barriers, 64, 0)
    ASSIZE_PROBE(collective_without_a_lane, 32, 0)
    ASSIZE_PROBE(shuffle_from_outside, 32, 0)
    ASSIZE_PROBE(split_warp, 32, 0)
    ASSIZE_PROBE(copy_never_waited_for, 64, 4096)
    ASSIZE_PROBE(copy_misaligned, 64, 4096)
    ASSIZE_PROBE(copy_outside_shared, 64, 4096)
    ASSIZE_PROBE(shared_beyond_limit, 64, 228 * 1024)
    ASSIZE_PROBE(missing_syncwarp, 64, 4096)
    ASSIZE_PROBE(missing_barrier, 64, 4096)
    ASSIZE_PROBE(read_before_wait, 64, 4096)
    ASSIZE_PROBE(unwritten_shared, 64, 4096)
    ASSIZE_PROBE(blocks_write_the_same, 64, 0, 2)
    ASSIZE_PROBE(host_pointer, 64, 0)
    ASSIZE_PROBE(beyond_array, 64, 0)
#undef ASSIZE_PROBE
  }
  return 1;
}

}  // namespace assize::test
