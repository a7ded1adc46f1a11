#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// An interpreter of the PTX that nvcc writes for the kernels: what inline assembly says is executed too.
/// Semantics are those of the PTX ISA manual (9.0); an instruction that is not in the table of
/// instructions.cpp is an error that names it.
namespace assize::cuda_emulation::ptx {

/// A fault of the text or of a run: what, entry, line of the PTX.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Warp;
struct Instruction;
/// Runs an instruction for the lanes of `active`.
using Run = void (*)(Warp&, const Instruction&, std::uint32_t active);

/// How an instruction moves the program counter and whom it waits for.
enum class Flow : std::uint8_t {
  plain,
  branch,      ///< to `target`
  leave,       ///< the lane has ended
  warp,        ///< waits for all 32 lanes
  some_lanes,  ///< waits for the lanes named by its last operand
  barrier,     ///< waits for all threads of the block
};

struct Instruction {
  Run run = nullptr;
  Flow flow = Flow::plain;
  bool guard_negated = false;
  std::int32_t guard = -1;  ///< register of the predicate; -1: none
  std::int32_t target = -1;
  /// Registers in the order of the text, vectors opened up; immediates are registers that hold them.
  std::vector<std::int32_t> registers;
  std::int64_t offset = 0;  ///< of [register + offset]
  int line = 0;
};

/// One kernel. Registers hold their value in the low bits, predicates 0 or 1.
struct Entry {
  std::string name;  ///< mangled
  std::size_t param_bytes = 0;
  std::vector<Instruction> code;
  std::int32_t register_count = 0;
  std::vector<std::pair<std::int32_t, std::uint64_t>> constants;  ///< registers with a fixed value
  std::map<std::string, std::int32_t> special;                    ///< %tid.x, ... that are used
};

/// What an opcode does; throws Error for one that is not known. A mov to or from a vector
/// is written mov.b32:unpack or mov.b32:pack.
struct Meaning {
  Run run = nullptr;
  Flow flow = Flow::plain;
};
Meaning find_opcode(const std::string& opcode);

/// The entries of one file of PTX.
std::vector<Entry> parse(std::string_view text, const std::string& file);

/// Global memory that a kernel may touch.
class Memory {
 public:
  virtual ~Memory() = default;
  /// Whether [address, address + bytes) lies in one allocation.
  virtual bool holds(std::uint64_t address, std::size_t bytes) const = 0;
};

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

/// Runs all blocks of a launch, one after another. Shared memory starts as NaN bits.
void run(const Entry& entry, const void* params, std::size_t params_bytes, Grid grid, int threads,
         std::size_t shared_bytes, const Memory& memory);

}  // namespace assize::cuda_emulation::ptx
