// Runs the threads of a block as fibers. Compiled without -fsanitize=thread even for the race checker, so
// that only kernel code is instrumented; the paths that run inside a kernel use no containers, whose
// instrumented copies the linker might choose.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "tests/cuda_emulation/block.h"
#include "tests/cuda_emulation/machine.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

uint3 threadIdx, blockIdx;
dim3 gridDim;

#if defined(__x86_64__)
/// Saves the callee-saved registers and the stack pointer to *save, and goes on where `load` was saved.
extern "C" void assize_switch_stack(void** save, void* load);
asm(R"(.text
.globl assize_switch_stack
.hidden assize_switch_stack
.type assize_switch_stack,@function
assize_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size assize_switch_stack,.-assize_switch_stack)");
#endif

namespace assize::cuda_emulation {

Observer observer;

namespace {

constexpr std::size_t kStackBytes = 256 << 10;
constexpr int kMaxWarps = kMaxThreads / 32;

struct Fiber {
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
  // For the address sanitizer.
  void* fake_stack = nullptr;
  const void* stack_low = nullptr;
  std::size_t stack_bytes = 0;

  const char* waiting = nullptr;  ///< for what; null: runnable
  Place at{"", 0};
  bool exited = false;
};

/// A collective that some lanes have reached. A warp has at most 32 of them.
struct Meeting {
  const char* kind;
  std::uint32_t mask, arrived;
  void* lanes[32];
};
struct Warp {
  std::uint32_t ready = 0;
  int meeting_count = 0;
  Meeting meetings[32];
};

struct Block {
  int threads = 0, warps = 0, live = 0, current = -1, at_barrier = 0;
  Fiber fibers[kMaxThreads];
  Warp warp[kMaxWarps];
  Fiber host;
  void (*entry)(const void*, const void*) = nullptr;
  const void* kernel = nullptr;
  const void* params = nullptr;
  unsigned char* shared = nullptr;
  std::size_t shared_bytes = 0;
  std::uint64_t random = 1;
  std::string error;
};
Block block;
unsigned char* stacks = nullptr;
Executor executor;
Interceptor interceptor;
std::mutex launching;

std::uint32_t random_below(std::uint32_t limit) {
  block.random ^= block.random << 13;
  block.random ^= block.random >> 7;
  block.random ^= block.random << 17;
  return static_cast<std::uint32_t>(block.random >> 33) % limit;
}

void switch_fiber(Fiber& from, Fiber& to, [[maybe_unused]] bool last = false) {
  ++counters().switches;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.stack_low, to.stack_bytes);
#endif
#if defined(__x86_64__)
  assize_switch_stack(&from.stack_pointer, to.stack_pointer);
#else
  swapcontext(&from.context, &to.context);
#endif
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

/// A runnable thread, or -1.
int pick() {
  const Order order = settings().order;
  const int first =
      order == Order::random ? static_cast<int>(random_below(static_cast<std::uint32_t>(block.warps))) : 0;
  for (int i = 0; i < block.warps; ++i) {
    const int w = order == Order::reverse ? block.warps - 1 - i : (first + i) % block.warps;
    const std::uint32_t ready = block.warp[w].ready;
    if (ready == 0) continue;
    if (order == Order::forward) return w * 32 + __builtin_ctz(ready);
    if (order == Order::reverse) return w * 32 + 31 - __builtin_clz(ready);
    const int skip = static_cast<int>(random_below(32));
    const std::uint32_t rest = ready >> skip;
    return w * 32 + (rest ? skip + __builtin_ctz(rest) : __builtin_ctz(ready));
  }
  return -1;
}

void enter(int thread) {
  block.current = thread;
  threadIdx = {static_cast<unsigned>(thread), 0, 0};
}

std::string diagnosis() {
  std::string text;
  for (int w = 0; w < block.warps; ++w) {
    std::map<std::string, std::uint32_t> lanes;
    for (int l = 0; l < 32 && w * 32 + l < block.threads; ++l) {
      const Fiber& fiber = block.fibers[w * 32 + l];
      lanes[fiber.exited    ? "have ended"
            : fiber.waiting ? std::string("wait in ") + fiber.waiting + " at " + place_name(fiber.at)
                            : "can run"] |= 1u << l;
    }
    for (const auto& [what, mask] : lanes) {
      char hex[16];
      std::snprintf(hex, sizeof hex, "%08x", mask);
      text += "; warp " + std::to_string(w) + " lanes " + hex + " " + what;
    }
  }
  return text;
}

/// The current thread waits until another one sets its ready bit.
void wait(const char* what, Place at) {
  const int me = block.current;
  Fiber& fiber = block.fibers[me];
  fiber.waiting = what;
  fiber.at = at;
  block.warp[me / 32].ready &= ~(1u << me % 32);
  const int next = pick();
  if (next < 0) fail("deadlock" + diagnosis());
  enter(next);
  switch_fiber(fiber, block.fibers[next]);
}

void wake(int thread) {
  block.fibers[thread].waiting = nullptr;
  block.warp[thread / 32].ready |= 1u << thread % 32;
}

void run_fiber() {
#ifdef __SANITIZE_ADDRESS__
  const void* low;
  std::size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &low, &bytes);
  if (!block.host.stack_low) {  // the first fiber comes from the host's stack
    block.host.stack_low = low;
    block.host.stack_bytes = bytes;
  }
#endif
  const int me = block.current;
  block.entry(block.kernel, block.params);
  Fiber& fiber = block.fibers[me];
  if (has_pending_copies(me)) fail(thread_name(me) + " ends before it has waited for its cp.async");
  fiber.exited = true;
  block.warp[me / 32].ready &= ~(1u << me % 32);
  if (--block.live > 0) {
    const int next = pick();
    if (next < 0) fail("deadlock after a thread has ended" + diagnosis());
    enter(next);
    switch_fiber(fiber, block.fibers[next], true);
  }
  block.current = -1;
  switch_fiber(fiber, block.host, true);
}

void prepare(int thread) {
  Fiber& fiber = block.fibers[thread];
  unsigned char* low = stacks + static_cast<std::size_t>(thread) * kStackBytes;
  fiber.fake_stack = nullptr;
  fiber.stack_low = low;
  fiber.stack_bytes = kStackBytes;
  fiber.waiting = nullptr;
  fiber.exited = false;
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(low, kStackBytes);
#endif
#if defined(__x86_64__)
  // The stacks begin at different cache sets. A first switch "returns" into run_fiber, which has no caller.
  void** top = reinterpret_cast<void**>(low + kStackBytes - static_cast<std::size_t>(thread % 32) * 320);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&run_fiber);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = low;
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, run_fiber, 0);
#endif
}

void run_block() {
  block.live = block.threads;
  block.warps = (block.threads + 31) / 32;
  block.at_barrier = 0;
  begin_copies(block.threads);
  for (int w = 0; w < block.warps; ++w) block.warp[w].ready = 0, block.warp[w].meeting_count = 0;
  for (int i = 0; i < block.threads; ++i) {
    prepare(i);
    block.warp[i / 32].ready |= 1u << i % 32;
  }
  if (block.shared_bytes) std::memset(block.shared, 0xff, block.shared_bytes);
  ++counters().blocks;
  if (observer.block_begin) observer.block_begin();
  const int first = pick();
  enter(first);
  switch_fiber(block.host, block.fibers[first]);
}

/// This thread is inside run_grid; others may prepare launches meanwhile.
thread_local bool runs_grid = false;

void run_grid(const void* kernel, void (*entry)(const void*, const void*), const void* params,
              std::size_t params_bytes, dim3 grid, int threads, std::size_t shared) {
  const std::lock_guard lock(launching);
  if (!stacks) {
    void* memory = mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    stacks = static_cast<unsigned char*>(memory);
  }
  void* memory = nullptr;
  if (posix_memalign(&memory, 1024, shared ? shared : 1)) throw std::bad_alloc();
  block.shared = static_cast<unsigned char*>(memory);
  block.shared_bytes = shared;
  block.threads = threads;
  block.entry = entry;
  block.kernel = kernel;
  block.params = params;
  block.error.clear();
  block.host = Fiber();
  block.random = settings().seed * 0x9e3779b97f4a7c15ull | 1;
  gridDim = grid;
  ++counters().launches;
  runs_grid = true;
  counters().shared_bytes = std::max<std::uint64_t>(counters().shared_bytes, shared);
  if (observer.launch_begin) observer.launch_begin(params, params_bytes);
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  for (std::size_t i = 0; i < blocks && block.error.empty(); ++i) {
    const std::size_t b = settings().order == Order::reverse ? blocks - 1 - i : i;
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / grid.x / grid.y)};
    run_block();
  }
  runs_grid = false;
  std::free(memory);
  if (!block.error.empty()) throw Error(block.error);
}

}  // namespace

Settings& settings() {
  static Settings instance;
  return instance;
}

Counters& counters() {
  static Counters instance;
  return instance;
}

void set_executor(Executor new_executor) { executor = std::move(new_executor); }
void set_interceptor(Interceptor new_interceptor) { interceptor = std::move(new_interceptor); }
bool is_intercepted() { return interceptor != nullptr; }

int launch_bytes(const void* kernel, void (*entry)(const void*, const void*), const void* params,
                 std::size_t params_bytes, dim3 grid, int threads, std::size_t shared, void* stream) {
  if (runs_grid) throw Error("a kernel is launched from a kernel");
  if (threads < 1 || threads > kMaxThreads || threads % 32 || !grid.x || !grid.y || !grid.z ||
      grid.y > 65535 || grid.z > 65535 || grid.x > 0x7fffffffu)
    throw Error("invalid launch: " + std::to_string(threads) + " threads, grid " + std::to_string(grid.x) +
                " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z));
  if (shared > kMaxSharedBytes)
    throw Error("invalid launch: " + std::to_string(shared) + " bytes of shared memory");
  std::vector<unsigned char> copy(params_bytes);
  std::memcpy(copy.data(), params, params_bytes);
  auto work = [=, copy = std::move(copy)] {
    const auto emulate = [&] { run_grid(kernel, entry, copy.data(), copy.size(), grid, threads, shared); };
    if (interceptor) {
      interceptor({kernel, copy.data(), copy.size(), grid, threads, shared}, emulate);
    } else {
      emulate();
    }
  };
  if (executor) {
    executor(stream, std::move(work));
  } else {
    work();
  }
  return 0;
}

int current_thread() { return block.current; }
int lane() { return block.current & 31; }
unsigned char* shared_memory() { return block.shared; }
std::size_t shared_bytes() { return block.shared_bytes; }

bool on_a_stack(const void* address) {
  const auto* p = static_cast<const unsigned char*>(address);
  return p >= stacks && p < stacks + kStackBytes * kMaxThreads;
}

std::string place_name(Place at) {
  const char* slash = std::strrchr(at.file, '/');
  return std::string(slash ? slash + 1 : at.file) + ":" + std::to_string(at.line);
}

std::string thread_name(int thread) {
  return "block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " +
         std::to_string(blockIdx.z) + ") warp " + std::to_string(thread / 32) + " lane " +
         std::to_string(thread % 32);
}

void fail(const std::string& what) {
  if (block.current < 0) throw Error(what);
  block.error = what;
  Fiber& fiber = block.fibers[block.current];
  block.current = -1;
  switch_fiber(fiber, block.host);
  __builtin_unreachable();  // the block's stacks are dropped
}

void collective(const char* kind, std::uint32_t mask, void* operands, Combine combine, Place at) {
  const int me = block.current, w = me / 32, l = me % 32;
  if (!(mask >> l & 1))
    fail(thread_name(me) + " calls " + kind + " with a mask that leaves it out, at " + place_name(at));
  Warp& warp = block.warp[w];
  int k = 0;
  while (k < warp.meeting_count && (warp.meetings[k].mask != mask || warp.meetings[k].arrived >> l & 1)) ++k;
  Meeting& meeting = warp.meetings[k];
  if (k == warp.meeting_count) {
    ++warp.meeting_count;
    meeting.kind = kind;
    meeting.mask = mask;
    meeting.arrived = 0;
  }
  if (std::strcmp(meeting.kind, kind) != 0)
    fail(thread_name(me) + " is in " + kind + " at " + place_name(at) + " while lanes of its warp are in " +
         meeting.kind);
  meeting.arrived |= 1u << l;
  meeting.lanes[l] = operands;
  if (meeting.arrived != mask) return wait(kind, at);
  if (combine) combine(meeting.lanes, mask);
  if (k != --warp.meeting_count) warp.meetings[k] = warp.meetings[warp.meeting_count];
  for (std::uint32_t rest = mask & ~(1u << l); rest; rest &= rest - 1) wake(w * 32 + __builtin_ctz(rest));
}

namespace {
struct ShuffleOperands {
  std::uint64_t in, out;
  int source;
};
}  // namespace

std::uint64_t shuffle(std::uint32_t mask, std::uint64_t value, int source, Place at) {
  ShuffleOperands mine{value, value, source};
  collective(
      "shuffle", mask, &mine,
      [](void* const lanes[32], std::uint32_t all) {
        for (std::uint32_t rest = all; rest; rest &= rest - 1) {
          auto* self = static_cast<ShuffleOperands*>(lanes[__builtin_ctz(rest)]);
          if (!(all >> self->source & 1))
            fail("a shuffle reads lane " + std::to_string(self->source) + ", which its mask leaves out" +
                 diagnosis());
          self->out = static_cast<ShuffleOperands*>(lanes[self->source])->in;
        }
      },
      at);
  return mine.out;
}

void sync_warp(std::uint32_t mask, Place at) {
  collective(
      "__syncwarp", mask, nullptr,
      [](void* const*, std::uint32_t) {
        if (observer.warp_barrier) observer.warp_barrier(block.current / 32);
      },
      at);
}

void sync_block(Place at) {
  const int me = block.current;
  if (block.live < block.threads)
    fail(thread_name(me) + " waits in __syncthreads at " + place_name(at) + " but threads have ended" +
         diagnosis());
  block.fibers[me].at = at;
  if (++block.at_barrier < block.threads) return wait("__syncthreads", at);
  for (int i = 0; i < block.threads; ++i) {
    const Place other = block.fibers[i].at;
    if (other.line != at.line || std::strcmp(other.file, at.file) != 0)
      fail("different barriers: " + thread_name(me) + " is at " + place_name(at) + ", " + thread_name(i) +
           " at " + place_name(other));
  }
  block.at_barrier = 0;
  for (int i = 0; i < block.threads; ++i)
    if (i != me) wake(i);
  if (observer.block_barrier) observer.block_barrier();
}

}  // namespace assize::cuda_emulation
