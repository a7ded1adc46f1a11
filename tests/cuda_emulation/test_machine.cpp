// The emulated machine itself. A GPU has no part in this.
#ifdef ASSIZE_CUDA_EMULATION

#include "support/values.h"
#include "tests/cuda_emulation/device_array.h"
#include "tests/cuda_emulation/emulation.h"
#include "tests/cuda_emulation/probe_kernels.h"

using namespace assize;
using namespace assize::test;

namespace {

constexpr std::size_t kOutputs = 128;

/// What the machine says of the probe; empty: nothing.
std::string fault(Probe probe) {
  DeviceArray<std::uint16_t> in(std::vector<std::uint16_t>(512, 0x3f80));
  DeviceArray<float> out(kOutputs);
  const std::vector<std::uint16_t> host(8, 0x3f80);
  try {
    launch_probe(probe, probe == Probe::host_pointer ? host.data() : in.data(), out.data());
  } catch (const cuda_emulation::Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("machine: fragments of ldmatrix and mma make a matrix product") {
  Values values(1);
  const auto a = bf16s(values.uniform(256)), b = bf16s(values.uniform(128));
  for (const bool transposed : {false, true}) {
    auto in = a;
    in.insert(in.end(), b.begin(), b.end());
    for_schedules(false, [&] {
      DeviceArray<std::uint16_t> input(in);
      DeviceArray<float> out(128);
      REQUIRE(launch_probe(transposed ? Probe::transposed_fragments : Probe::fragments, input.data(),
                           out.data()) == 0);
      const auto got = out.values();
      for (std::size_t i = 0; i < 16; ++i)
        for (std::size_t j = 0; j < 8; ++j) {
          double expected = 0;
          for (std::size_t k = 0; k < 16; ++k)
            expected += double(number(a[i * 16 + k])) * number(transposed ? b[k * 8 + j] : b[j * 16 + k]);
          CHECK(std::abs(got[i * 8 + j] - expected) < 1e-5);
        }
    });
  }
}

TEST_CASE("machine: faults that stop a block") {
  using Catch::Matchers::Contains;
  for_schedules(false, [] {
    CHECK_THAT(fault(Probe::return_before_barrier), Contains("__syncthreads"));
    CHECK_THAT(fault(Probe::two_barriers), Contains("different barriers"));
    CHECK_THAT(fault(Probe::collective_without_a_lane), Contains("leaves it out"));
    CHECK_THAT(fault(Probe::shuffle_from_outside), Contains("reads lane 20"));
    CHECK_THAT(fault(Probe::split_warp), Contains("while lanes of its warp are in"));
    CHECK_THAT(fault(Probe::copy_never_waited_for), Contains("waited for its cp.async"));
    CHECK_THAT(fault(Probe::copy_misaligned), Contains("misaligned cp.async"));
    CHECK_THAT(fault(Probe::copy_outside_shared), Contains("outside shared memory"));
    CHECK_THAT(fault(Probe::shared_beyond_limit), Contains("shared memory"));
  });
}

TEST_CASE("machine: faults that the race checker finds, with both places") {
  using Catch::Matchers::Contains;
  if (!cuda_emulation::has_race_checker()) return;
  for_schedules(false, [] {
    // Whether the reader or the writer comes first depends on the schedule.
    for (const Probe probe : {Probe::missing_syncwarp, Probe::missing_barrier})
      CHECK_THAT(fault(probe),
                 Contains("probe_kernels.cu") && (Contains("race") || Contains("never written")));
    CHECK_THAT(fault(Probe::read_before_wait), Contains("unfinished cp.async"));
    CHECK_THAT(fault(Probe::unwritten_shared), Contains("never written"));
    CHECK_THAT(fault(Probe::blocks_write_the_same), Contains("race"));
    CHECK_THAT(fault(Probe::host_pointer), Contains("outside every allocation"));
    CHECK_THAT(fault(Probe::beyond_array), Contains("out of bounds") || Contains("outside every allocation"));
  });
}

TEST_CASE("machine: expf in nvcc's steps is two steps of an f32 from the exact value at most") {
  for (float x = -87.0f; x < 88.0f; x += 0.0137f) {
    const float got = kernels::cuda::expf(x), exact = static_cast<float>(std::exp(double{x}));
    const auto steps = static_cast<std::int64_t>(__float_as_uint(got)) - __float_as_uint(exact);
    if (std::abs(steps) > 2) FAIL(x << ": " << got << " where " << exact << " is right");
  }
  CHECK(kernels::cuda::expf(0.0f) == 1.0f);
  CHECK(kernels::cuda::expf(-200.0f) == 0.0f);
  CHECK(kernels::cuda::expf(-INFINITY) == 0.0f);
}

TEST_CASE("machine: an executor decides when a launch runs") {
  DeviceArray<std::uint16_t> in(std::vector<std::uint16_t>(512, 0x3f80));
  DeviceArray<float> out(kOutputs);
  std::function<void()> later;
  cuda_emulation::set_executor([&](void*, std::function<void()> work) { later = std::move(work); });
  launch_probe(Probe::fragments, in.data(), out.data());
  cuda_emulation::set_executor(nullptr);
  CHECK(std::isnan(out.values()[0]));
  later();
  CHECK(out.values()[0] == 16.0f);
}

#endif
