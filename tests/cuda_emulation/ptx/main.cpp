// The kernel tests with every launch done twice: on the emulated machine and from nvcc's PTX. Both must leave
// the same in device memory; the tests then check what PTX left. In the end every kernel must have been
// launched in two shapes. Exits 77, which CTest shows as skipped, where there is no PTX because there is no
// nvcc.
#include <cxxabi.h>
#include <link.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <tuple>

#include "tests/cuda_emulation/block.h"
#include "tests/cuda_emulation/machine.h"
#include "tests/cuda_emulation/ptx/program.h"

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

namespace {

using namespace assize::cuda_emulation;

/// decode_kernel<64, 8>, ... of a mangled name, which differ from compiler to compiler in their anonymous
/// namespaces.
std::string kernel_name(const std::string& mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status), &std::free);
  std::string name = text ? text.get() : mangled;
  for (const std::string part : {"assize::kernels::cuda::", "(anonymous namespace)::", "void "})
    for (auto at = name.find(part); at != name.npos; at = name.find(part)) name.erase(at, part.size());
  return name.substr(0, name.rfind('('));
}

/// {address: name} of the functions of this program. Kernels have no linkage, so the symbol table is read.
std::map<std::uintptr_t, std::string> functions_of_this_program() {
  std::uintptr_t base = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        *static_cast<std::uintptr_t*>(to) = info->dlpi_addr;
        return 1;  // the first one is the program
      },
      &base);
  const std::string command = "nm '" + std::filesystem::read_symlink("/proc/self/exe").string() + "'";
  const std::unique_ptr<std::FILE, decltype(&pclose)> pipe(popen(command.c_str(), "r"), &pclose);
  std::map<std::uintptr_t, std::string> names;
  char line[4096];
  while (pipe && std::fgets(line, sizeof line, pipe.get())) {
    std::istringstream words(line);
    std::string address, kind, name;
    if (words >> address >> kind >> name && (kind == "t" || kind == "T"))
      names.emplace(base + std::stoull(address, nullptr, 16), name);
  }
  return names;
}

/// Device memory that tests have allocated.
struct Allocations : ptx::Memory {
  std::map<std::uint64_t, std::size_t> bytes;

  bool holds(std::uint64_t address, std::size_t count) const override {
    auto next = bytes.upper_bound(address);
    if (next == bytes.begin()) return false;
    --next;
    return address - next->first <= next->second && count <= next->second - (address - next->first);
  }
  std::vector<std::vector<unsigned char>> copy() const {
    std::vector<std::vector<unsigned char>> result;
    for (const auto& [at, count] : bytes) {
      const auto* begin = reinterpret_cast<const unsigned char*>(at);
      result.emplace_back(begin, begin + count);
    }
    return result;
  }
  void restore(const std::vector<std::vector<unsigned char>>& contents) const {
    std::size_t k = 0;
    for (const auto& [at, count] : bytes)
      std::memcpy(reinterpret_cast<void*>(at), contents[k++].data(), count);
  }
};
Allocations allocations;

/// How closely both must agree. nvcc's erff, log and f64 exp are not the host's.
enum class Agreement {
  bits,
  bf16_step,  ///< bf16: one step between neighbours, or 1e-6 where 1 + erf cancels
  close,      ///< 8 bytes as two f32, one f64 or one integer: 1e-5 relative
};

Agreement agreement(const std::string& kernel) {
  if (kernel.starts_with("map_kernel<(Map)1")) return Agreement::bf16_step;
  return kernel == "choose_kernel" || kernel == "finish_kernel" ? Agreement::close : Agreement::bits;
}

template <class T>
T value_at(const unsigned char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

float bf16_at(const unsigned char* p) {
  const std::uint32_t bits = std::uint32_t{value_at<std::uint16_t>(p)} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T>
bool near(const unsigned char* a, const unsigned char* b) {
  const auto x = static_cast<double>(value_at<T>(a)), y = static_cast<double>(value_at<T>(b));
  return std::memcmp(a, b, sizeof(T)) == 0 || std::abs(x - y) <= 1e-5 * std::abs(x);
}

bool agree(Agreement how, const std::vector<unsigned char>& a, const std::vector<unsigned char>& b,
           std::size_t& at) {
  const std::size_t step = how == Agreement::bits ? 1 : how == Agreement::bf16_step ? 2 : 8;
  for (at = 0; at + step <= a.size(); at += step) {
    const unsigned char *x = &a[at], *y = &b[at];
    if (std::memcmp(x, y, step) == 0) continue;
    if (how == Agreement::bf16_step &&
        (std::abs(value_at<std::int16_t>(x) - value_at<std::int16_t>(y)) <= 1 ||
         std::abs(bf16_at(x) - bf16_at(y)) <= 1e-6f))
      continue;
    if (how == Agreement::close &&
        ((near<float>(x, y) && near<float>(x + 4, y + 4)) || near<double>(x, y) || near<std::uint64_t>(x, y)))
      continue;
    return false;
  }
  return true;
}

/// Grid, shared memory, device memory, and the parameters with 0 for pointers.
using Shape = std::tuple<unsigned, unsigned, std::size_t, std::size_t, std::vector<unsigned char>>;
struct Kernel {
  ptx::Entry entry;
  std::set<Shape> shapes;
};

/// Runs a launch on both and throws where they disagree.
void run_twice(Kernel& kernel, const std::string& name, const Launch& launch,
               const std::function<void()>& emulate) {
  const auto before = allocations.copy();
  emulate();
  const auto emulated = allocations.copy();
  allocations.restore(before);
  ptx::run(kernel.entry, launch.params, launch.params_bytes, {launch.grid.x, launch.grid.y, launch.grid.z},
           launch.threads, launch.shared_bytes, allocations);
  std::size_t memory = 0, k = 0, at = 0;
  const Agreement how = agreement(name);
  for (const auto& contents : allocations.copy()) {
    memory += contents.size();
    if (!agree(how, emulated[k], contents, at))
      throw ptx::Error("PTX and emulation disagree: " + name + ", allocation " + std::to_string(k) + " of " +
                       std::to_string(contents.size()) + " bytes, byte " + std::to_string(at));
    ++k;
  }
  const auto* params = static_cast<const unsigned char*>(launch.params);
  std::vector<unsigned char> scalars(params, params + launch.params_bytes);
  for (std::size_t i = 0; i + 8 <= scalars.size(); i += 8)
    if (allocations.holds(value_at<std::uint64_t>(&scalars[i]), 1)) std::memset(&scalars[i], 0, 8);
  kernel.shapes.emplace(launch.grid.x, launch.grid.y, launch.shared_bytes, memory, std::move(scalars));
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path folder =
      std::getenv("ASSIZE_PTX") ? std::getenv("ASSIZE_PTX") : ASSIZE_PTX_FOLDER;
  std::map<std::string, Kernel> kernels;
  if (std::filesystem::is_directory(folder))
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (file.path().extension() != ".ptx") continue;
      std::ostringstream text;
      text << std::ifstream(file.path()).rdbuf();
      try {
        for (auto& entry : ptx::parse(text.str(), file.path().string()))
          kernels[kernel_name(entry.name)].entry = std::move(entry);
      } catch (const ptx::Error& error) {
        std::printf("%s\n", error.what());
        return 1;
      }
    }
  if (kernels.empty()) {
    std::printf("no PTX in %s: nvcc was not found when this was built\n", folder.c_str());
    return 77;
  }
  const auto functions = functions_of_this_program();
  observer.memory = [](void* address, std::size_t bytes, bool allocated) {
    const auto at = reinterpret_cast<std::uint64_t>(address);
    if (allocated) {
      allocations.bytes[at] = bytes;
    } else {
      allocations.bytes.erase(at);
    }
  };
  set_interceptor([&](const Launch& launch, const std::function<void()>& emulate) {
    const auto function = functions.find(reinterpret_cast<std::uintptr_t>(launch.kernel));
    const std::string name =
        function == functions.end() ? "a function without a name" : kernel_name(function->second);
    const auto found = kernels.find(name);
    if (found == kernels.end()) throw ptx::Error("no PTX for " + name);
    run_twice(found->second, name, launch, emulate);
  });
  const int failed = Catch::Session().run(argc, argv);
  if (failed || argc > 1) return failed;
  int few = 0;
  for (const auto& [name, kernel] : kernels)
    if (kernel.shapes.size() < 2) {
      std::printf("%s: launched in %zu shapes; two are asked for\n", name.c_str(), kernel.shapes.size());
      ++few;
    }
  std::printf("%zu kernels from PTX, %d of them in fewer than two shapes\n", kernels.size(), few);
  return few ? 1 : 0;
}
