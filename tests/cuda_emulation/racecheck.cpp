// A checker in the manner of compute-sanitizer. Kernels are compiled with -fsanitize=thread and linked
// without it: the calls that the compiler puts before loads and stores land here. Found: two accesses of a
// block to the same bytes between two barriers, one of them a write, that __syncwarp does not order (shuffles
// and mma do not); accesses to the same global bytes from different blocks of a launch, one of them a write;
// reads of shared memory that the block has not written; touching bytes of an unfinished cp.async; accesses
// outside every allocation. Granularity 2 bytes. List this object and the emulation before instrumented ones
// on the link line.
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "tests/cuda_emulation/block.h"

namespace {

using namespace assize::cuda_emulation;

constexpr std::size_t kGranule = 2;

struct Access {
  std::uint32_t phase = 0;  ///< of the block's barriers, over all launches; 0: never
  std::uint32_t warp_phase = 0;
  std::uint32_t pc = 0;
  std::int16_t thread = -1;
};
struct Cell {
  Access write;
  Access reads[2];          ///< the latest reader, the latest of another warp
  std::int16_t async = -1;  ///< thread whose cp.async is under way
  bool atomic = false;      ///< the write was
};
struct Region {
  const unsigned char* base = nullptr;
  std::size_t bytes = 0;
  bool shared = false;
  std::vector<Cell> cells;

  void reset(const unsigned char* base_, std::size_t bytes_) {
    base = base_;
    bytes = bytes_;
    cells.assign((bytes + kGranule - 1) / kGranule, Cell());
  }
  bool holds(const unsigned char* p) const { return p >= base && p < base + bytes; }
};

std::map<const unsigned char*, Region> device;
Region shared_region;
const unsigned char* params_begin = nullptr;
const unsigned char* params_end = nullptr;
std::uintptr_t image_base = 0, image_end = 0, image_writable = 0;
std::uint32_t phase = 0, block_first = 0, launch_first = 0;
std::uint32_t warp_phases[kMaxThreads / 32];
bool reporting = false;  // strings are built with code that may be instrumented itself
std::vector<Place> places;

/// Places of emulated instructions have numbers from 2^31, program counters lie below.
constexpr std::uint32_t kPlaces = 0x80000000u;

std::uint32_t number_of(Place at) {
  for (std::size_t i = 0; i < places.size(); ++i)
    if (places[i].line == at.line && places[i].file == at.file)
      return kPlaces + static_cast<std::uint32_t>(i);
  places.push_back(at);
  return kPlaces + static_cast<std::uint32_t>(places.size() - 1);
}

std::string source_line(std::uint32_t pc) {
  if (pc >= kPlaces) return place_name(places[pc - kPlaces]);
  char command[128], line[512] = "?";
  std::snprintf(command, sizeof command, "addr2line -s -e /proc/%d/exe 0x%x", getpid(), pc - 1);
  if (FILE* pipe = popen(command, "r")) {
    if (std::fgets(line, sizeof line, pipe)) line[std::strcspn(line, "\n")] = 0;
    pclose(pipe);
  }
  return line;
}

[[noreturn]] void report(const char* what, const Region& region, std::size_t byte, bool write, int thread,
                         std::uint32_t pc, const Access* other = nullptr, bool other_write = false) {
  reporting = true;
  std::string text = std::string(what) + ": " + (write ? "write" : "read") + " of " +
                     (region.shared ? "shared" : "global") + " byte " + std::to_string(byte) + " by " +
                     thread_name(thread) + " at " + source_line(pc);
  if (other)
    text += ", after a " + std::string(other_write ? "write" : "read") + " by thread " +
            std::to_string(other->thread) + " (warp " + std::to_string(other->thread / 32) + ") at " +
            source_line(other->pc);
  reporting = false;
  fail(text);
}

/// threadIdx and its like.
bool is_builtin(const void* p) {
  const auto in = [p](const auto& variable) { return p >= &variable && p < &variable + 1; };
  return in(threadIdx) || in(blockIdx) || in(gridDim);
}

/// Whether nothing orders an earlier access before the current one.
bool unordered(const Region& region, const Access& earlier, int thread) {
  if (earlier.phase < (region.shared ? block_first : launch_first)) return false;
  if (earlier.phase < block_first) return true;  // another block of this launch
  if (earlier.phase != phase || earlier.thread == thread) return false;
  const bool same_warp = earlier.thread / 32 == thread / 32;
  return !(same_warp && earlier.warp_phase < warp_phases[thread / 32]);
}

void check(Region& region, const unsigned char* p, std::size_t bytes, bool write, bool atomic, int thread,
           std::uint32_t pc) {
  const auto offset = static_cast<std::size_t>(p - region.base);
  if (offset + bytes > region.bytes) report("out of bounds", region, offset, write, thread, pc);
  const Access now{phase, warp_phases[thread / 32], pc, static_cast<std::int16_t>(thread)};
  for (std::size_t i = offset / kGranule; i <= (offset + bytes - 1) / kGranule; ++i) {
    Cell& cell = region.cells[i];
    if (cell.async >= 0)
      report("bytes of an unfinished cp.async", region, i * kGranule, write, thread, pc, &cell.write, true);
    if (region.shared && !write && cell.write.phase < block_first)
      report("shared memory never written", region, i * kGranule, write, thread, pc);
    if (!(atomic && cell.atomic) && unordered(region, cell.write, thread))
      report("race", region, i * kGranule, write, thread, pc, &cell.write, true);
    if (write) {
      for (const Access& read : cell.reads)
        if (!atomic && unordered(region, read, thread))
          report("race", region, i * kGranule, write, thread, pc, &read);
      cell.write = now;
      cell.atomic = atomic;
    } else {
      if (cell.reads[0].phase == phase && cell.reads[0].thread / 32 != thread / 32)
        cell.reads[1] = cell.reads[0];
      cell.reads[0] = now;
    }
  }
}

void access_at(const void* address, std::size_t bytes, bool write, bool atomic, int thread,
               std::uint32_t pc) {
  const auto* p = static_cast<const unsigned char*>(address);
  if (on_a_stack(p)) return;
  if (shared_region.holds(p)) return check(shared_region, p, bytes, write, atomic, thread, pc);
  auto next = device.upper_bound(p);
  if (next != device.begin() && std::prev(next)->second.holds(p))
    return check(std::prev(next)->second, p, bytes, write, atomic, thread, pc);
  if (!write && p >= params_begin && p < params_end) return;
  if (!write && is_builtin(p)) return;
  const auto number = reinterpret_cast<std::uintptr_t>(p);
  if (!write && number >= image_base && number < image_writable) return;  // constants
  Region nowhere;
  nowhere.base = p;
  nowhere.shared = p + 65536 >= shared_region.base && p < shared_region.base + shared_region.bytes + 65536;
  report("outside every allocation", nowhere, 0, write, thread, pc);
}

[[maybe_unused]] const bool installed = [] {
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void*) {
        image_base = info->dlpi_addr;
        image_writable = ~std::uintptr_t{0};
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          if (header.p_type != PT_LOAD) continue;
          image_end = std::max(image_end, info->dlpi_addr + header.p_vaddr + header.p_memsz);
          if (header.p_flags & PF_W)
            image_writable = std::min(image_writable, info->dlpi_addr + header.p_vaddr);
        }
        image_writable = std::min(image_writable, image_end);
        return 1;  // the program comes first
      },
      nullptr);
  shared_region.shared = true;
  observer.guard_bytes = 65536;
  observer.launch_begin = [](const void* params, std::size_t bytes) {
    params_begin = static_cast<const unsigned char*>(params);
    params_end = params_begin + bytes;
    launch_first = phase + 1;
    shared_region.reset(shared_memory(), shared_bytes());
  };
  observer.block_begin = [] {
    block_first = ++phase;
    for (Cell& cell : shared_region.cells) cell.async = -1;
  };
  observer.block_barrier = [] { ++phase; };
  observer.warp_barrier = [](int warp) { ++warp_phases[warp]; };
  observer.access = [](const void* address, std::size_t bytes, bool write, int thread, Place at) {
    access_at(address, bytes, write, false, thread, number_of(at));
  };
  observer.atomic = [](void* address, std::size_t bytes, int thread, Place at) {
    access_at(address, bytes, true, true, thread, number_of(at));
  };
  observer.async = [](void* address, std::size_t bytes, int thread, bool done, Place at) {
    const std::uint32_t pc = number_of(at);
    const auto* p = static_cast<const unsigned char*>(address);
    if (!done) check(shared_region, p, bytes, true, false, thread, pc);
    const auto offset = static_cast<std::size_t>(p - shared_region.base);
    for (std::size_t i = offset / kGranule; i < (offset + bytes) / kGranule; ++i) {
      Cell& cell = shared_region.cells[i];
      cell.async = static_cast<std::int16_t>(done ? -1 : thread);
      if (done) cell.write = {phase, warp_phases[thread / 32], pc, static_cast<std::int16_t>(thread)};
    }
  };
  observer.memory = [](void* address, std::size_t bytes, bool allocated) {
    const auto* p = static_cast<const unsigned char*>(address);
    if (allocated) {
      device[p].reset(p, bytes);
    } else {
      device.erase(p);
    }
  };
  return true;
}();

void hit(const void* address, std::size_t bytes, bool write, const void* pc) {
  const int thread = current_thread();
  if (thread < 0 || reporting) return;
  access_at(address, bytes, write, false, thread,
            static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(pc) - image_base));
}

}  // namespace

#define ASSIZE_HIT(name, bytes, write) \
  extern "C" void __tsan_##name(void* p) { hit(p, bytes, write, __builtin_return_address(0)); }
ASSIZE_HIT(read1, 1, false)
ASSIZE_HIT(read2, 2, false)
ASSIZE_HIT(read4, 4, false)
ASSIZE_HIT(read8, 8, false)
ASSIZE_HIT(read16, 16, false)
ASSIZE_HIT(write1, 1, true)
ASSIZE_HIT(write2, 2, true)
ASSIZE_HIT(write4, 4, true)
ASSIZE_HIT(write8, 8, true)
ASSIZE_HIT(write16, 16, true)
ASSIZE_HIT(unaligned_read2, 2, false)
ASSIZE_HIT(unaligned_read4, 4, false)
ASSIZE_HIT(unaligned_read8, 8, false)
ASSIZE_HIT(unaligned_read16, 16, false)
ASSIZE_HIT(unaligned_write2, 2, true)
ASSIZE_HIT(unaligned_write4, 4, true)
ASSIZE_HIT(unaligned_write8, 8, true)
ASSIZE_HIT(unaligned_write16, 16, true)
extern "C" {
void __tsan_read_range(void* p, std::size_t n) { hit(p, n, false, __builtin_return_address(0)); }
void __tsan_write_range(void* p, std::size_t n) { hit(p, n, true, __builtin_return_address(0)); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
}
