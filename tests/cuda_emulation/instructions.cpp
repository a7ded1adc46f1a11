// The instructions of kernels/cuda/ptx.h: layouts of the PTX ISA, sections on mma.m16n8k16 and ldmatrix.
#include <cstring>

#include "tests/cuda_emulation/block.h"
#include "tests/cuda_emulation/machine.h"

namespace assize::cuda_emulation {

namespace {

struct Copy {
  unsigned char* to;
  const unsigned char* from;  ///< null: zeros
  int group;
  Place at;
};

constexpr int kCopyBytes = 16;
constexpr int kMaxCopies = 512;

/// cp.async of one thread that have not been waited for.
struct Copies {
  int count = 0;
  int groups = 0;  ///< committed
  Copy copies[kMaxCopies];
};
Copies* pending = nullptr;

struct Watch {
  const unsigned char* begin = nullptr;
  std::size_t page_bytes = 1;
  std::vector<std::uint64_t> bytes;
};
Watch watch;

void write_copy(const Copy& copy) {
  if (copy.from) {
    std::memcpy(copy.to, copy.from, kCopyBytes);
  } else {
    std::memset(copy.to, 0, kCopyBytes);
  }
}

void check_shared(const char* what, const void* address, int thread, Place at) {
  const auto* p = static_cast<const unsigned char*>(address);
  if (reinterpret_cast<std::uintptr_t>(p) % 16)
    fail(thread_name(thread) + ": misaligned " + what + " at " + place_name(at));
  if (p < shared_memory() || p + 16 > shared_memory() + shared_bytes())
    fail(thread_name(thread) + ": " + what + " outside shared memory at " + place_name(at));
}

struct LoadOperands {
  std::uint32_t* registers;
  const unsigned char* row;
  int thread;
  Place at;
};

template <bool kTransposed>
void load_for_warp(void* const lanes[32], std::uint32_t) {
  for (int m = 0; m < 4; ++m) {
    std::uint16_t tile[8][8];
    unsigned groups = 0;
    for (int r = 0; r < 8; ++r) {
      const auto* source = static_cast<LoadOperands*>(lanes[m * 8 + r]);
      check_shared("ldmatrix", source->row, source->thread, source->at);
      if (observer.access) observer.access(source->row, 16, false, source->thread, source->at);
      std::memcpy(tile[r], source->row, 16);
      groups |= 1u << static_cast<std::size_t>(source->row - shared_memory()) / 16 % 8;
    }
    // One pass reads 128 bytes: eight rows in eight different 16-byte bank groups.
    ++counters().matrix_loads;
    counters().bank_conflicts += 8 - static_cast<unsigned>(__builtin_popcount(groups));
    for (int l = 0; l < 32; ++l) {
      const int g = l / 4, t = l % 4;
      const std::uint32_t low = kTransposed ? tile[2 * t][g] : tile[g][2 * t];
      const std::uint32_t high = kTransposed ? tile[2 * t + 1][g] : tile[g][2 * t + 1];
      static_cast<LoadOperands*>(lanes[l])->registers[m] = low | high << 16;
    }
  }
}

struct ProductOperands {
  float* d;
  const std::uint32_t *a, *b;
};

// Lane l, g = l / 4, t = l % 4. Register i of A: row g + 8 (i & 1), columns 2 t + 8 (i >> 1) and the next; of
// B: rows 2 t + 8 i and the next, column g; value i of C and D: row g + 8 (i >> 1), column 2 t + (i & 1).
void multiply_for_warp(void* const lanes[32], std::uint32_t) {
  ++counters().products;
  float a[16][16], b[16][8], c[16][8];
  for (int l = 0; l < 32; ++l) {
    const auto* x = static_cast<ProductOperands*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) {
      float* at = &a[g + 8 * (i & 1)][2 * t + 8 * (i >> 1)];
      at[0] = __uint_as_float(x->a[i] << 16);
      at[1] = __uint_as_float(x->a[i] & 0xffff0000u);
      c[g + 8 * (i >> 1)][2 * t + (i & 1)] = x->d[i];
    }
    for (int i = 0; i < 2; ++i) {
      b[2 * t + 8 * i][g] = __uint_as_float(x->b[i] << 16);
      b[2 * t + 8 * i + 1][g] = __uint_as_float(x->b[i] & 0xffff0000u);
    }
  }
  for (int i = 0; i < 16; ++i)
    for (int k = 0; k < 16; ++k)
      for (int j = 0; j < 8; ++j) c[i][j] += a[i][k] * b[k][j];
  for (int l = 0; l < 32; ++l)
    for (int i = 0; i < 4; ++i)
      static_cast<ProductOperands*>(lanes[l])->d[i] = c[l / 4 + 8 * (i >> 1)][2 * (l % 4) + (i & 1)];
}

}  // namespace

void begin_copies(int threads) {
  if (!pending) pending = new Copies[kMaxThreads];
  for (int i = 0; i < threads; ++i) pending[i].count = pending[i].groups = 0;
}

bool has_pending_copies(int thread) { return pending[thread].count > 0; }

void copy_async(void* shared, const void* global, bool valid, Place at) {
  const int me = current_thread();
  check_shared("cp.async", shared, me, at);
  if (reinterpret_cast<std::uintptr_t>(global) % kCopyBytes)
    fail(thread_name(me) + ": misaligned cp.async at " + place_name(at));
  const auto* from = static_cast<const unsigned char*>(global);
  ++counters().async_copies;
  if (valid) {
    counters().async_bytes += kCopyBytes;
    if (from >= watch.begin && from < watch.begin + watch.bytes.size() * watch.page_bytes)
      watch.bytes[static_cast<std::size_t>(from - watch.begin) / watch.page_bytes] += kCopyBytes;
    if (observer.access) observer.access(global, kCopyBytes, false, me, at);
  }
  if (observer.async) observer.async(shared, kCopyBytes, me, false, at);
  Copies& mine = pending[me];
  if (mine.count == kMaxCopies) fail(thread_name(me) + ": too many cp.async without a wait");
  const Copy copy{static_cast<unsigned char*>(shared), valid ? from : nullptr, mine.groups, at};
  if (settings().copy_time == CopyTime::early) write_copy(copy);
  mine.copies[mine.count++] = copy;
}

void commit_copies() { ++pending[current_thread()].groups; }

void wait_copies(int left) {
  const int me = current_thread();
  Copies& mine = pending[me];
  int kept = 0;
  for (int i = 0; i < mine.count; ++i) {
    const Copy copy = mine.copies[i];
    if (copy.group >= mine.groups - left) {
      mine.copies[kept++] = copy;
      continue;
    }
    if (settings().copy_time == CopyTime::late) write_copy(copy);
    if (observer.async) observer.async(copy.to, kCopyBytes, me, true, copy.at);
  }
  mine.count = kept;
}

void load_matrices(std::uint32_t* registers, const void* row, bool transposed, Place at) {
  LoadOperands mine{registers, static_cast<const unsigned char*>(row), current_thread(), at};
  collective(transposed ? "ldmatrix.trans" : "ldmatrix", kAssizeFullWarp, &mine,
             transposed ? load_for_warp<true> : load_for_warp<false>, at);
}

void multiply(float* d, const std::uint32_t* a, const std::uint32_t* b, Place at) {
  ProductOperands mine{d, a, b};
  collective("mma", kAssizeFullWarp, &mine, multiply_for_warp, at);
}

void atomic_access(void* address, std::size_t bytes, Place at) {
  if (observer.atomic) observer.atomic(address, bytes, current_thread(), at);
}

void watch_pages(const void* begin, std::size_t pages, std::size_t page_bytes) {
  watch.begin = static_cast<const unsigned char*>(begin);
  watch.page_bytes = page_bytes;
  watch.bytes.assign(pages, 0);
}

std::span<const std::uint64_t> watched_bytes() { return watch.bytes; }

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes + 2 * observer.guard_bytes + !bytes)) throw std::bad_alloc();
  auto* inner = static_cast<unsigned char*>(memory) + observer.guard_bytes;
  std::memset(inner, 0xff, bytes);
  if (observer.memory) observer.memory(inner, bytes, true);
  return inner;
}

void release(void* memory) {
  if (!memory) return;
  if (observer.memory) observer.memory(memory, 0, false);
  std::free(static_cast<unsigned char*>(memory) - observer.guard_bytes);
}

bool has_race_checker() { return observer.access != nullptr; }

}  // namespace assize::cuda_emulation
