#include "app/device.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"

namespace assize::app {

namespace {

constexpr std::uint8_t kNoSay = 255;   // of a rank that holds no judge
constexpr std::uint8_t kNoDevice = 254;

void set_device(job::JobSpec& job, backend::Device device) {
  job.parallel.device = device == backend::Device::cpu    ? job::Device::cpu
                        : device == backend::Device::cuda ? job::Device::cuda
                                                          : job::Device::cuda_emulated;
  if (job.numerics == job::Numerics::automatic) return;
  const std::string wanted = job.numerics == job::Numerics::f32 ? "f32" : "bf16";
  if (wanted == backend::numerics(device)) return;
  throw base::Error(fmt::format("'numerics' is {}, but the device is {}, whose arithmetic is {}: leave numerics out or set "
                                "parallel.device to {}",
                                wanted, backend::name(device), backend::numerics(device), wanted == "f32" ? "cpu" : "cuda"));
}

/// What this process finds; a device that the job names must be there.
backend::Device find_device(const job::JobSpec& job) {
  if (!job.judge.fake.empty()) return backend::Device::cpu;
  if (job.parallel.device == job::Device::automatic) return backend::choose_device();
  backend::require_device(device_of(job));
  return device_of(job);
}

}  // namespace

backend::Device device_of(const job::JobSpec& job) {
  switch (job.parallel.device) {
    case job::Device::automatic:
    case job::Device::cpu:
      return backend::Device::cpu;
    case job::Device::cuda:
      return backend::Device::cuda;
    case job::Device::cuda_emulated:
      break;
  }
  return backend::Device::cuda_emulated;
}

void settle_device(job::JobSpec& job) { set_device(job, find_device(job)); }

void settle_device(job::JobSpec& job, const comm::World& world) {
  std::uint8_t own = kNoSay;
  if (world.role == comm::Role::worker) {
    try {
      own = static_cast<std::uint8_t>(find_device(job));
    } catch (const base::Error& error) {
      own = kNoDevice;
      base::log(base::LogLevel::error, fmt::format("rank {}: {}", world.rank, error.what()));
    }
  }
  const std::vector<std::uint8_t> found = comm::exchange(own);
  int first = -1;
  for (int rank = 0; rank < world.size; ++rank) {
    const std::uint8_t value = found[static_cast<std::size_t>(rank)];
    if (value == kNoSay) continue;
    if (value == kNoDevice) {
      throw base::Error(fmt::format("rank {} cannot use the device of the job (parallel.device), as its line says", rank),
                        base::ErrorKind::failed);
    }
    if (first < 0) first = rank;
    if (value == found[static_cast<std::size_t>(first)]) continue;
    throw base::Error(fmt::format("parallel.device is auto, which means {} on rank {} but {} on rank {}; ask for nodes of one kind "
                                  "or name the device",
                                  backend::name(static_cast<backend::Device>(found[static_cast<std::size_t>(first)])), first,
                                  backend::name(static_cast<backend::Device>(value)), rank),
                      base::ErrorKind::failed);
  }
  if (first >= 0) set_device(job, static_cast<backend::Device>(found[static_cast<std::size_t>(first)]));
}

}  // namespace assize::app
