#include <algorithm>

#include "tests/cuda_emulation/ptx/warp.h"

namespace assize::cuda_emulation::ptx {

void Warp::fail(const Instruction& i, const std::string& what) const {
  throw Error(block_.entry->name + ", line " + std::to_string(i.line) + ", warp " +
              std::to_string(first_thread_ / 32) + ": " + what);
}

unsigned char* Warp::shared(const Instruction& i, std::uint64_t address, std::size_t bytes) {
  if (address > block_.shared.size() || bytes > block_.shared.size() - address)
    fail(i, "outside shared memory: " + std::to_string(address));
  if (address % bytes) fail(i, "misaligned in shared memory");
  return block_.shared.data() + address;
}

unsigned char* Warp::global(const Instruction& i, std::uint64_t address, std::size_t bytes) {
  if (!block_.memory->holds(address, bytes)) fail(i, "outside every allocation");
  if (address % bytes) fail(i, "misaligned in global memory");
  return reinterpret_cast<unsigned char*>(address);
}

const unsigned char* Warp::param(const Instruction& i, std::size_t bytes) {
  if (i.offset < 0 || static_cast<std::size_t>(i.offset) + bytes > block_.entry->param_bytes)
    fail(i, "outside the parameters");
  return block_.params + i.offset;
}

void Warp::copy_async(const Instruction& i, int lane, std::uint64_t to, std::uint64_t from, unsigned bytes) {
  if (bytes > 16) fail(i, "cp.async of more than 16 bytes");
  shared(i, to, 16);
  if (from % 16) fail(i, "misaligned cp.async");
  if (bytes) global(i, from, 16);
  copies_[lane].push_back({to, from, bytes, groups_[lane]});
}

void Warp::wait_copies(int lane, unsigned left) {
  std::erase_if(copies_[lane], [&](const Copy& copy) {
    if (copy.group >= groups_[lane] - static_cast<int>(left)) return false;
    unsigned char* to = block_.shared.data() + copy.to;
    std::memset(to, 0, 16);
    if (copy.bytes) std::memcpy(to, reinterpret_cast<const void*>(copy.from), copy.bytes);
    return true;
  });
}

std::uint32_t Warp::lanes_at(std::int32_t pc) const {
  std::uint32_t lanes = 0;
  for (int l = 0; l < 32; ++l)
    if ((live_ >> l & 1) && pc_[l] == pc) lanes |= 1u << l;
  return lanes;
}

/// Lanes of `active` have reached an instruction that waits for others; the last to come run it for all.
void Warp::meet(const Instruction& i, std::uint32_t active) {
  waiting_ |= active;
  if (i.flow == Flow::barrier) return;
  const auto first = static_cast<int>(__builtin_ctz(active));
  std::uint32_t mask = kAll;
  if (i.flow == Flow::some_lanes) {
    mask = get<std::uint32_t>(i.registers.back(), first);
    if ((active & mask) != active) fail(i, "a lane that its own mask leaves out");
  }
  if (mask & ~live_) fail(i, "waits for lanes that have ended");
  if ((lanes_at(pc_[first]) & waiting_ & mask) != mask) return;
  if (i.run) i.run(*this, i, mask);
  waiting_ &= ~mask;
  for (int l = 0; l < 32; ++l) pc_[l] += mask >> l & 1;
}

// Of the lanes that can run, those at the lowest place go first, so that lanes that took different ways meet
// again.
void Warp::run() {
  const auto& code = block_.entry->code;
  const auto end = static_cast<std::int32_t>(code.size());
  while (const std::uint32_t ready = live_ & ~waiting_) {
    std::int32_t pc = end, other = end;
    std::uint32_t active = 0;
    for (int l = 0; l < 32; ++l) {
      if (!(ready >> l & 1)) continue;
      if (pc_[l] < pc) {
        other = pc;
        pc = pc_[l];
        active = 0;
      } else if (pc_[l] > pc) {
        other = std::min(other, pc_[l]);
      }
      if (pc_[l] == pc) active |= 1u << l;
    }
    if (pc >= end) throw Error(block_.entry->name + ": runs past its end");
    // Straight on until others join or the way parts.
    std::uint32_t taken = active;
    const Instruction* i = nullptr;
    for (;; ++pc) {
      i = &code[static_cast<std::size_t>(pc)];
      taken = active;
      if (i->guard >= 0)
        for (std::uint32_t rest = active; rest; rest &= rest - 1) {
          const int l = __builtin_ctz(rest);
          if (get<std::uint8_t>(i->guard, l) == i->guard_negated) taken &= ~(1u << l);
        }
      if (i->flow != Flow::plain) break;
      if (taken) i->run(*this, *i, taken);
      if (pc + 1 >= other) break;
    }
    for (std::uint32_t rest = active; rest; rest &= rest - 1) pc_[__builtin_ctz(rest)] = pc;
    if (i->flow == Flow::warp || i->flow == Flow::some_lanes || i->flow == Flow::barrier) {
      meet(*i, active);
      continue;
    }
    for (std::uint32_t rest = active; rest; rest &= rest - 1) {
      const int l = __builtin_ctz(rest);
      const bool takes = taken >> l & 1;
      if (takes && i->flow == Flow::leave) {
        if (!copies_[l].empty()) fail(*i, "ends before it has waited for its cp.async");
        live_ &= ~(1u << l);
      }
      pc_[l] = takes && i->flow == Flow::branch ? i->target : pc + 1;
    }
  }
  if (live_ && waiting_ == live_) {
    // All wait: right only at one barrier of the block.
    const auto& at = code[static_cast<std::size_t>(pc_[__builtin_ctz(live_)])];
    if (at.flow != Flow::barrier || lanes_at(pc_[__builtin_ctz(live_)]) != live_)
      fail(at, "deadlock: lanes of a warp wait at different places");
  }
}

void Warp::pass_barrier() {
  waiting_ = 0;
  for (int& pc : pc_) ++pc;
}

namespace {

void run_block(Block& block, int threads, const std::map<std::string, std::uint32_t>& place) {
  std::fill(block.shared.begin(), block.shared.end(), 0xff);
  std::vector<Warp> warps;
  for (int first = 0; first < threads; first += 32) {
    warps.emplace_back(block, first);
    for (int l = 0; l < 32; ++l) {
      for (const auto& [index, bits] : block.entry->constants) warps.back().set(index, l, bits);
      for (const auto& [name, index] : block.entry->special)
        warps.back().set(index, l,
                         name == "%tid.x"    ? static_cast<std::uint32_t>(first + l)
                         : name == "%laneid" ? static_cast<std::uint32_t>(l)
                                             : place.at(name));
    }
  }
  for (;;) {
    std::size_t ended = 0;
    for (Warp& warp : warps) {
      warp.run();
      ended += warp.ended();
    }
    if (ended == warps.size()) return;
    for (Warp& warp : warps)
      if (!warp.is_whole()) throw Error(block.entry->name + ": a barrier waits for threads that have ended");
    for (Warp& warp : warps) warp.pass_barrier();
  }
}

}  // namespace

void run(const Entry& entry, const void* params, std::size_t params_bytes, Grid grid, int threads,
         std::size_t shared_bytes, const Memory& memory) {
  if (params_bytes != entry.param_bytes)
    throw Error(entry.name + ": takes " + std::to_string(entry.param_bytes) +
                " bytes of parameters, launched with " + std::to_string(params_bytes));
  Block block{&entry, static_cast<const unsigned char*>(params), std::vector<unsigned char>(shared_bytes),
              &memory};
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x)
        run_block(block, threads,
                  {{"%ctaid.x", x},
                   {"%ctaid.y", y},
                   {"%ctaid.z", z},
                   {"%nctaid.x", grid.x},
                   {"%nctaid.y", grid.y},
                   {"%nctaid.z", grid.z},
                   {"%ntid.x", static_cast<std::uint32_t>(threads)}});
}

}  // namespace assize::cuda_emulation::ptx
