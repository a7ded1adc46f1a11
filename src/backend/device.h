#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "backend/backend.h"

namespace assize::backend {

/// Where a judge computes.
enum class Device {
  cpu,
  cuda,           ///< libassize_cuda.so
  cuda_emulated,  ///< libassize_cuda_emulated.so: the same backend on stand-ins for the GPU and its libraries
};

/// "cpu", "cuda", "cuda-emulated": as a job names it.
std::string name(Device device);

/// "f32" or "bf16": the arithmetic of a device, part of a run's identity.
std::string numerics(Device device);

/// Bytes of one value of activations and KV cache.
std::size_t value_bytes(Device device);

/// What `device: auto` means to this process: the GPU where the environment or the system shows that there is
/// one, else the CPU. Throws Error where GPUs are there but cannot be used, with the driver's words.
Device choose_device();

/// Throws Error, with the driver's words, if the plug-in of `device` cannot be loaded or sees no usable GPU.
void require_device(Device device);

/// Settings of all backends.
struct DeviceSettings {
  CpuSettings cpu;
  int gpu = 0;  ///< index among the GPUs that this process sees: that of this rank among its node's workers
};

/// The backend of a rank on `device`. `group` must outlive it. Collective over the group: an Error of one rank
/// is thrown on all.
std::unique_ptr<Backend> make_backend(Device device, comm::Comm& group, const DeviceSettings& settings);

}  // namespace assize::backend
