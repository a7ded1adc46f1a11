#pragma once

#include <cstring>
#include <vector>

#include "tests/cuda_emulation/ptx/program.h"

namespace assize::cuda_emulation::ptx {

/// The block that runs: what its warps share.
struct Block {
  const Entry* entry = nullptr;
  const unsigned char* params = nullptr;
  std::vector<unsigned char> shared;
  const Memory* memory = nullptr;
};

/// 32 threads: registers and where each lane is.
class Warp {
 public:
  static constexpr std::uint32_t kAll = 0xffffffffu;

  Warp(Block& block, int first_thread) : block_(block), first_thread_(first_thread) {
    registers_.assign(static_cast<std::size_t>(block.entry->register_count) * 32, ~std::uint64_t{0});
  }

  /// Value of a register in a lane, from its low bits.
  template <class T>
  T get(std::int32_t index, int lane) const {
    T value;
    std::memcpy(&value, &registers_[static_cast<std::size_t>(index) * 32 + static_cast<std::size_t>(lane)],
                sizeof value);
    return value;
  }
  template <class T>
  void set(std::int32_t index, int lane, T value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    registers_[static_cast<std::size_t>(index) * 32 + static_cast<std::size_t>(lane)] = bits;
  }

  /// Bytes that a load or store may touch; checks bounds and alignment.
  unsigned char* shared(const Instruction& i, std::uint64_t address, std::size_t bytes);
  unsigned char* global(const Instruction& i, std::uint64_t address, std::size_t bytes);
  const unsigned char* param(const Instruction& i, std::size_t bytes);

  // cp.async: bytes arrive when they are waited for.
  void copy_async(const Instruction& i, int lane, std::uint64_t to, std::uint64_t from, unsigned bytes);
  void commit_copies(int lane) { ++groups_[lane]; }
  void wait_copies(int lane, unsigned left);

  [[noreturn]] void fail(const Instruction& i, const std::string& what) const;

  /// Runs until every lane has ended or waits for other warps.
  void run();
  bool ended() const { return live_ == 0; }
  bool at_barrier() const { return live_ != 0 && waiting_ == live_; }
  bool is_whole() const { return live_ == kAll; }
  void pass_barrier();

 private:
  struct Copy {
    std::uint64_t to, from;
    unsigned bytes;
    int group;
  };

  std::uint32_t lanes_at(std::int32_t pc) const;
  void meet(const Instruction& i, std::uint32_t active);

  Block& block_;
  int first_thread_;
  std::vector<std::uint64_t> registers_;
  std::int32_t pc_[32] = {};
  std::uint32_t live_ = kAll;
  std::uint32_t waiting_ = 0;  ///< lanes at an instruction that waits for others
  std::vector<Copy> copies_[32];
  int groups_[32] = {};
};

}  // namespace assize::cuda_emulation::ptx
