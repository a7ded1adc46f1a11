#include <sys/utsname.h>

#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "app/commands.h"
#include "app/identity.h"
#include "backend/device.h"
#include "base/error.h"
#include "comm/world.h"
#include "job/paths.h"
#include "media/library_versions.h"
#include "results/library_version.h"

namespace assize::app {

namespace {

/// Name and interesting features of the processor, from /proc/cpuinfo.
std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  std::string line, model = "unknown", features;
  while (std::getline(in, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (line.rfind("model name", 0) == 0) model = line.substr(colon + 2);
    if (line.rfind("flags", 0) == 0) {
      std::istringstream words(line.substr(colon + 1));
      std::set<std::string> flags;
      for (std::string word; words >> word;) flags.insert(word);
      for (const char* wanted : {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "amx_bf16"}) {
        if (flags.count(wanted)) features += fmt::format(" {}", wanted);
      }
      break;
    }
  }
  return fmt::format("{}, {} threads;{}", model, std::thread::hardware_concurrency(), features.empty() ? " no AVX2" : features);
}

/// ", cuda" or why not.
std::string usable(backend::Device device) {
  try {
    backend::require_device(device);
    return ", " + backend::name(device);
  } catch (const base::Error& error) {
    return fmt::format(" (not {}: {})", backend::name(device), error.what());
  }
}

}  // namespace

int version() {
  utsname system{};
  uname(&system);
  fmt::print("assize {}\n", code_version());
  fmt::print("  system     {} {} {}\n", system.sysname, system.release, system.machine);
  fmt::print("  processor  {}\n", processor());
  fmt::print("  MPI        {}\n", comm::mpi_library_version());
  fmt::print("  HDF5       {}\n", results::hdf5_version());
  fmt::print("  media      {}\n", media::library_versions());
  fmt::print("  devices    cpu{}\n", usable(backend::Device::cuda));
  fmt::print("  data       {}\n", job::share_folder().string());
  return 0;
}

}  // namespace assize::app
