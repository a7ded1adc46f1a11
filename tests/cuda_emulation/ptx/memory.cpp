// Loads, stores, warps, barriers and tensor cores: PTX ISA 9.0, chapters on data movement, parallel
// synchronisation and warp-level matrix instructions.
#include "tests/cuda_emulation/ptx/lanes.h"

namespace assize::cuda_emulation::ptx {

namespace {

enum class Space { param, shared, global };

template <Space kSpace>
auto* place(Warp& w, const Instruction& i, std::int32_t base, int lane, std::size_t bytes) {
  if constexpr (kSpace == Space::param) return w.param(i, bytes);
  if constexpr (kSpace == Space::shared)  // 32-bit addresses
    return w.shared(i, static_cast<std::uint32_t>(w.get<std::uint32_t>(base, lane) + i.offset), bytes);
  if constexpr (kSpace == Space::global)
    return w.global(i, w.get<std::uint64_t>(base, lane) + static_cast<std::uint64_t>(i.offset), bytes);
}

/// A signed value may go to a wider register, which its sign fills.
template <class T>
auto widened(T value) {
  if constexpr (std::is_signed_v<T> && std::is_integral_v<T>) {
    return static_cast<std::int64_t>(value);
  } else {
    return value;
  }
}

template <Space kSpace, class T, int kCount>
void load(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data();
  for_lanes(active, [&](int l) {
    const auto* from = place<kSpace>(w, i, r[kCount], l, sizeof(T) * kCount);
    T values[kCount];
    std::memcpy(values, from, sizeof values);
    for (int k = 0; k < kCount; ++k) w.set(r[k], l, widened(values[k]));
  });
}

template <Space kSpace, class T, int kCount>
void store(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data();
  for_lanes(active, [&](int l) {
    T values[kCount];
    for (int k = 0; k < kCount; ++k) values[k] = w.get<T>(r[k + 1], l);
    std::memcpy(place<kSpace>(w, i, r[0], l, sizeof values), values, sizeof values);
  });
}

template <Space kSpace, class T>
void add_sizes(Table& t, const std::string& space, const std::string& bits) {
  const auto add_loads = [&](auto value, const std::string& type) {
    using V = decltype(value);
    t["ld." + space + "." + type] = {load<kSpace, V, 1>, Flow::plain};
    t["ld." + space + ".v2." + type] = {load<kSpace, V, 2>, Flow::plain};
    t["ld." + space + ".v4." + type] = {load<kSpace, V, 4>, Flow::plain};
  };
  add_loads(std::make_signed_t<T>(), "s" + bits);
  for (const char* kind : {"b", "u", "f"}) add_loads(T(), kind + bits);
  for (const char* kind : {"b", "u", "s", "f"}) {
    const std::string type = kind + bits;
    if constexpr (kSpace != Space::param) {
      t["st." + space + "." + type] = {store<kSpace, T, 1>, Flow::plain};
      t["st." + space + ".v2." + type] = {store<kSpace, T, 2>, Flow::plain};
      t["st." + space + ".v4." + type] = {store<kSpace, T, 4>, Flow::plain};
    }
  }
}

template <Space kSpace>
void add_space(Table& t, const std::string& space) {
  add_sizes<kSpace, std::uint8_t>(t, space, "8");
  add_sizes<kSpace, std::uint16_t>(t, space, "16");
  add_sizes<kSpace, std::uint32_t>(t, space, "32");
  add_sizes<kSpace, std::uint64_t>(t, space, "64");
}

/// [address] = F([address], operand) in shared memory; atom keeps the old value, red does not.
template <bool kKeepsOld, class F, class T>
void atomic(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data() + kKeepsOld;
  for_lanes(active, [&](int l) {
    unsigned char* at = place<Space::shared>(w, i, r[0], l, sizeof(T));
    T old;
    std::memcpy(&old, at, sizeof old);
    const T changed = F()(old, w.get<T>(r[1], l));
    std::memcpy(at, &changed, sizeof changed);
    if constexpr (kKeepsOld) w.set(i.registers[0], l, old);
  });
}
template <class T, class F>
void add_atomic(Table& t, const std::string& what, F) {
  t["atom.shared." + what] = {atomic<true, F, T>, Flow::plain};
  t["red.shared." + what] = {atomic<false, F, T>, Flow::plain};
}

/// d | p, a, b, c, mask. Of c: bits 0-4 the clamp, 8-12 the mask of the segment.
enum class Shuffle { up, bfly, idx };
template <Shuffle kKind>
void shuffle(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data();
  std::uint32_t from[32];
  for_lanes(active, [&](int l) { from[l] = w.get<std::uint32_t>(r[2], l); });
  struct Result {
    std::uint32_t value;
    bool in_range;
  } results[32];
  for_lanes(active, [&](int l) {
    const int b = w.get<std::uint32_t>(r[3], l) & 31;
    const std::uint32_t c = w.get<std::uint32_t>(r[4], l);
    const int clamp = c & 31, segment = c >> 8 & 31;
    const int lowest = l & segment, limit = lowest | (clamp & ~segment);
    int source = kKind == Shuffle::up ? l - b : kKind == Shuffle::bfly ? l ^ b : lowest | (b & ~segment);
    const bool in_range = kKind == Shuffle::up ? source >= limit : source <= limit;
    if (!in_range) source = l;
    if (!(active >> source & 1)) w.fail(i, "a shuffle reads a lane that its mask leaves out");
    results[l] = {from[source], in_range};
  });
  for_lanes(active, [&](int l) {
    w.set(r[1], l, static_cast<std::uint8_t>(results[l].in_range));
    w.set(r[0], l, results[l].value);
  });
}

/// {d0 .. d3}, [address]: row r of matrix m is at the address of lane 8 m + r, 16 bytes; a thread's register
/// m holds elements 2 (lane % 4) and the next of row lane / 4, or (kTransposed) of that column.
template <bool kTransposed>
void load_matrices(Warp& w, const Instruction& i, std::uint32_t) {
  const auto* r = i.registers.data();
  const auto element = [&](int matrix, int row, int column) {
    const std::uint32_t address =
        w.get<std::uint32_t>(r[4], 8 * matrix + row) + static_cast<std::uint32_t>(i.offset);
    std::uint16_t value;
    std::memcpy(&value, w.shared(i, address, 16) + 2 * column, sizeof value);
    return value;
  };
  std::uint32_t results[4][32];
  for (int m = 0; m < 4; ++m)
    for (int l = 0; l < 32; ++l) {
      results[m][l] = 0;
      for (int k = 0; k < 2; ++k) {
        const int along = l % 4 * 2 + k, across = l / 4;
        const std::uint16_t value = kTransposed ? element(m, along, across) : element(m, across, along);
        results[m][l] |= std::uint32_t{value} << (16 * k);
      }
    }
  for (int m = 0; m < 4; ++m)
    for (int l = 0; l < 32; ++l) w.set(r[m], l, results[m][l]);
}

/// {d0 .. d3}, {a0 .. a3}, {b0, b1}, {c0 .. c3} of m16n8k16. Element j of a lane's a (two to a register): row
/// lane / 4, + 8 for j in {2, 3, 6, 7}; column 2 (lane % 4) + (j & 1), + 8 for j >= 4. Of b: row
/// 2 (lane % 4) + (j & 1), + 8 for j >= 2; column lane / 4. Of c and d: row lane / 4, + 8 for j >= 2; column
/// 2 (lane % 4) + (j & 1). The order of the sum, k ascending after c, is the emulation's; the manual leaves
/// it open.
void multiply(Warp& w, const Instruction& i, std::uint32_t) {
  const auto* r = i.registers.data();
  const auto half = [&](int index, int j, int lane) {
    const std::uint32_t bits = w.get<std::uint32_t>(r[index + j / 2], lane) >> (16 * (j & 1)) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  };
  float a[16][16], b[16][8], d[4][32];
  for (int l = 0; l < 32; ++l) {
    for (int j = 0; j < 8; ++j) a[l / 4 + (j / 2 % 2) * 8][l % 4 * 2 + (j & 1) + j / 4 * 8] = half(4, j, l);
    for (int j = 0; j < 4; ++j) b[l % 4 * 2 + (j & 1) + j / 2 * 8][l / 4] = half(8, j, l);
  }
  for (int l = 0; l < 32; ++l)
    for (int j = 0; j < 4; ++j) {
      const int row = l / 4 + j / 2 * 8, column = l % 4 * 2 + (j & 1);
      float sum = w.get<float>(r[10 + j], l);
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      d[j][l] = sum;
    }
  for (int j = 0; j < 4; ++j)
    for (int l = 0; l < 32; ++l) w.set(r[j], l, d[j][l]);
}

template <class Whole, class Half>
void unpack(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data();
  for_lanes(active, [&](int l) {
    const Whole whole = w.get<Whole>(r[2], l);
    w.set(r[0], l, static_cast<Half>(whole));
    w.set(r[1], l, static_cast<Half>(whole >> (8 * sizeof(Half))));
  });
}

void copy_async(Warp& w, const Instruction& i, std::uint32_t active) {
  const auto* r = i.registers.data();  // [shared], [global], 16, bytes to read
  for_lanes(active, [&](int l) {
    if (w.get<std::uint32_t>(r[2], l) != 16) w.fail(i, "cp.async of a size that is not known");
    w.copy_async(i, l, w.get<std::uint32_t>(r[0], l), w.get<std::uint64_t>(r[1], l),
                 w.get<std::uint32_t>(r[3], l));
  });
}

}  // namespace

void add_memory_and_warps(Table& t) {
  add_space<Space::param>(t, "param");
  add_space<Space::shared>(t, "shared");
  add_space<Space::global>(t, "global");
  t["mov.b64:unpack"] = {unpack<std::uint64_t, std::uint32_t>, Flow::plain};
  t["mov.b32:unpack"] = {unpack<std::uint32_t, std::uint16_t>, Flow::plain};
  add_atomic<std::uint32_t>(t, "add.u32", [](std::uint32_t a, std::uint32_t b) { return a + b; });
  add_atomic<std::uint64_t>(t, "add.u64", [](std::uint64_t a, std::uint64_t b) { return a + b; });
  add_atomic<std::uint32_t>(t, "or.b32", [](std::uint32_t a, std::uint32_t b) { return a | b; });
  t["cp.async.cg.shared.global"] = {copy_async, Flow::plain};
  t["cp.async.commit_group"] = {[](Warp& w, const Instruction&, std::uint32_t active) {
                                  for_lanes(active, [&](int l) { w.commit_copies(l); });
                                },
                                Flow::plain};
  t["cp.async.wait_group"] = {
      [](Warp& w, const Instruction& i, std::uint32_t active) {
        for_lanes(active, [&](int l) { w.wait_copies(l, w.get<std::uint32_t>(i.registers[0], l)); });
      },
      Flow::plain};
  t["shfl.sync.up.b32"] = {shuffle<Shuffle::up>, Flow::some_lanes};
  t["shfl.sync.bfly.b32"] = {shuffle<Shuffle::bfly>, Flow::some_lanes};
  t["shfl.sync.idx.b32"] = {shuffle<Shuffle::idx>, Flow::some_lanes};
  t["bar.warp.sync"] = {nullptr, Flow::some_lanes};
  t["bar.sync"] = {nullptr, Flow::barrier};
  t["ldmatrix.sync.aligned.m8n8.x4.shared.b16"] = {load_matrices<false>, Flow::warp};
  t["ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16"] = {load_matrices<true>, Flow::warp};
  t["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = {multiply, Flow::warp};
  t["bra"] = t["bra.uni"] = {nullptr, Flow::branch};
  t["ret"] = t["exit"] = {nullptr, Flow::leave};
}

Meaning find_opcode(const std::string& opcode) {
  static const Table table = [] {
    Table made;
    add_arithmetic(made);
    add_memory_and_warps(made);
    return made;
  }();
  const auto found = table.find(opcode);
  if (found == table.end()) throw Error("instruction " + opcode + " is not known to the interpreter");
  return found->second;
}

}  // namespace assize::cuda_emulation::ptx
