#include "backend/device.h"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "backend/plugin.h"
#include "base/error.h"

namespace assize::backend {

namespace fs = std::filesystem;

namespace {

const char* library_name(Device device) {
  return device == Device::cuda ? "libassize_cuda.so" : "libassize_cuda_emulated.so";
}

/// The plug-in lies beside the program, where it was built, or in lib/assize beside its bin/; ASSIZE_PLUGINS
/// names another folder.
fs::path find_library(Device device) {
  const char* named = std::getenv("ASSIZE_PLUGINS");
  if (named && *named) return fs::path(named) / library_name(device);
  std::error_code code;
  const fs::path folder = fs::read_symlink("/proc/self/exe", code).parent_path();
  for (const fs::path& place : {folder, folder.parent_path() / "lib/assize"}) {
    if (fs::exists(place / library_name(device), code)) return place / library_name(device);
  }
  return folder / library_name(device);
}

/// Never unloaded: an error's type and a backend's code live in it.
const Plugin& load(Device device) {
  const fs::path file = find_library(device);
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = ::dlerror();
    const bool there = fs::exists(file);
    throw base::Error(
        "parallel.device is " + name(device) + ", but " + (why ? why : file.string()) +
            (there ? "; load the modules that assize was built with, or add their folders to LD_LIBRARY_PATH"
                   : device == Device::cuda ? "; build assize where nvcc is installed, or set parallel.device to cpu"
                                            : "; build it with -DASSIZE_TESTS=ON"),
        base::ErrorKind::failed);
  }
  const auto* plugin = static_cast<const Plugin*>(::dlsym(library, kPluginSymbol));
  if (!plugin || std::strcmp(plugin->version, kPluginVersion) != 0) {
    throw base::Error(file.string() + " belongs to another version of assize; build both together",
                      base::ErrorKind::failed);
  }
  return *plugin;
}

/// What shows that this process has GPUs, "" where nothing does. Slurm hides them with CUDA_VISIBLE_DEVICES
/// empty, "-1" or "NoDevFiles".
std::string sign_of_gpus() {
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
    const std::string value = visible;
    return value.empty() || value == "-1" || value == "NoDevFiles" ? "" : "CUDA_VISIBLE_DEVICES=" + value;
  }
  for (const char* variable : {"SLURM_STEP_GPUS", "SLURM_JOB_GPUS"}) {
    const char* value = std::getenv(variable);
    if (value && *value) return std::string(variable) + "=" + value;
  }
  std::error_code code;
  return fs::exists("/dev/nvidiactl", code) ? "/dev/nvidiactl" : "";
}

}  // namespace

std::string name(Device device) {
  switch (device) {
    case Device::cpu:
      return "cpu";
    case Device::cuda:
      return "cuda";
    case Device::cuda_emulated:
      break;
  }
  return "cuda-emulated";
}

std::string numerics(Device device) { return device == Device::cpu ? "f32" : "bf16"; }

std::size_t value_bytes(Device device) { return device == Device::cpu ? sizeof(float) : 2; }

Device choose_device() {
  const std::string sign = sign_of_gpus();
  if (sign.empty()) return Device::cpu;
  try {
    require_device(Device::cuda);
  } catch (const base::Error& error) {
    throw base::Error("this process has GPUs (" + sign + "), but they cannot be used: " + error.what() +
                          "; to use the CPU all the same, set parallel.device to cpu",
                      error.kind());
  }
  return Device::cuda;
}

void require_device(Device device) {
  if (device != Device::cpu) load(device).count_gpus();
}

std::unique_ptr<Backend> make_backend(Device device, comm::Comm& group, const DeviceSettings& settings) {
  if (device == Device::cpu) return make_cpu_backend(group, settings.cpu);
  return load(device).make(group, settings.gpu);
}

}  // namespace assize::backend
