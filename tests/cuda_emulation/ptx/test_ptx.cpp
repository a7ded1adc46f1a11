// The interpreter itself, on small programs.
#include "support/catch.h"
#include "tests/cuda_emulation/ptx/program.h"

using namespace assize::cuda_emulation::ptx;
using Catch::Matchers::Contains;

namespace {

struct Everything : Memory {
  bool holds(std::uint64_t, std::size_t) const override { return true; }
};

/// Each thread runs `body`, which finds its number in %r1 and leaves its result in %r2; 64 bytes of shared
/// memory.
std::vector<std::uint32_t> results(const std::string& body, int threads = 32) {
  const std::string text =
      ".version 9.0\n.target sm_80\n.address_size 64\n.extern .shared .align 128 .b8 memory[];\n"
      ".visible .entry tried(\n\t.param .align 8 .b8 tried_param_0[8]\n)\n.maxntid 64, 1, 1\n{\n"
      ".reg .pred %p<4>;\n.reg .b16 %rs<4>;\n.reg .b32 %r<20>;\n.reg .f32 %f<9>;\n.reg .b64 %rd<9>;\n"
      "mov.u32 %r1, %tid.x;\n" +
      body +
      "ld.param.u64 %rd1, [tried_param_0];\nmul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd1, %rd1, %rd2;\n"
      "st.global.u32 [%rd1], %r2;\nret;\n}\n";
  std::vector<std::uint32_t> out(static_cast<std::size_t>(threads), 0xffffffff);
  const auto entries = parse(text, "tried.ptx");
  std::uint32_t* const address = out.data();
  run(entries.at(0), &address, sizeof address, {}, threads, 64, Everything());
  return out;
}

std::string message(const std::string& body, int threads = 32) {
  try {
    results(body, threads);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("PTX: lanes that part meet again, behind branches and loops of different length") {
  const auto out = results(
      "mov.u32 %r2, 0;\nmov.u32 %r3, 0;\nand.b32 %r4, %r1, 3;\nsetp.eq.s32 %p1, %r4, 0;\n@%p1 bra $done;\n"
      "$loop:\nadd.s32 %r2, %r2, %r1;\nadd.s32 %r3, %r3, 1;\nsetp.lt.s32 %p2, %r3, %r4;\n@%p2 bra $loop;\n"
      "$done:\nshfl.sync.bfly.b32 %r5|%p3, %r2, 1, 31, -1;\nadd.s32 %r2, %r2, %r5;\n");
  for (std::uint32_t l = 0; l < 32; ++l) {
    const auto own = [](std::uint32_t k) { return k * (k % 4); };
    CHECK(out[l] == own(l) + own(l ^ 1));
  }
}

TEST_CASE("PTX: warps exchange through shared memory behind a barrier; it starts as NaN") {
  // The second warp writes its numbers; all read what is 2 lanes further on.
  const auto out = results(
      "and.b32 %r3, %r1, 31;\nshl.b32 %r4, %r3, 1;\nmov.u32 %r5, memory;\nadd.s32 %r4, %r5, %r4;\n"
      "setp.lt.u32 %p1, %r1, 36;\n@%p1 bra $wait;\nmov.b32 {%rs1, %rs2}, %r1;\nst.shared.u16 [%r4], %rs1;\n"
      "$wait:\nbar.sync 0;\nld.shared.u16 %rs3, [%r4+0];\ncvt.u32.u16 %r2, %rs3;\n",
      64);
  for (std::uint32_t l = 0; l < 64; ++l) CHECK(out[l] == (l % 32 < 4 ? 0xffffu : 32 + l % 32));
}

TEST_CASE("PTX: shuffles keep to their clamp and segment") {
  const auto up = results("shfl.sync.up.b32 %r2|%p1, %r1, 2, 0, -1;\nselp.b32 %r2, %r2, 99, %p1;\n");
  const auto idx = results("shfl.sync.idx.b32 %r2, %r1, 5, 0x181f, -1;\n");  // segments of 8
  for (std::uint32_t l = 0; l < 32; ++l) {
    CHECK(up[l] == (l < 2 ? 99 : l - 2));
    CHECK(idx[l] == l / 8 * 8 + 5);
  }
}

TEST_CASE("PTX: the sign of what is loaded fills a wider register") {
  const auto out = results(
      "mov.u32 %r5, memory;\nmov.u32 %r4, -1;\nst.shared.u32 [%r5], %r4;\nld.shared.s32 %rd3, [%r5];\n"
      "setp.lt.s64 %p1, %rd3, 0;\nselp.b32 %r2, 1, 0, %p1;\n");
  CHECK(out[0] == 1);
}

TEST_CASE("PTX: instructions of one lane") {
  const auto result = [](const std::string& body) { return results(body)[3]; };
  CHECK(result("shl.b32 %r2, %r1, 32;\n") == 0);
  CHECK(result("shr.s32 %r2, -8, 33;\n") == 0xffffffff);
  CHECK(result("mul.hi.s32 %r2, -2147483648, 4;\n") == 0xfffffffe);
  CHECK(result("rem.u32 %r2, -1, 10;\n") == 5);
  CHECK(result("cvt.s32.s8 %r2, 0xf0;\n") == 0xfffffff0);
  CHECK(result("mov.b64 %rd3, {%r1, 7};\nbfi.b64 %rd4, %rd3, 0, 8, 40;\nmov.b64 {%r3, %r2}, %rd4;\n") ==
        0x700);
  CHECK(result("setp.lt.f32 %p1, 0f7FC00000, 0f00000000;\nselp.b32 %r2, 1, 0, %p1;\n") == 0);
  CHECK(result("setp.geu.f32 %p1, 0f7FC00000, 0f00000000;\nselp.b32 %r2, 1, 0, %p1;\n") == 1);
  CHECK(result("max.f32 %f1, 0f7FC00000, 0f3F800000;\nmov.b32 %r2, %f1;\n") == 0x3f800000);
  CHECK(result("copysign.f32 %f1, 0f80000000, 0f3F800000;\nmov.b32 %r2, %f1;\n") == 0xbf800000);
  // 1 + 2^-24 lies half-way: down, and to the even neighbour, are 1; just above it 1 is still what is below.
  CHECK(result("fma.rm.f32 %f1, 0f33C00000, 0f3F800000, 0f3F800000;\nmov.b32 %r2, %f1;\n") == 0x3f800000);
  CHECK(result("fma.rn.f32 %f1, 0f33C00000, 0f3F800000, 0f3F800000;\nmov.b32 %r2, %f1;\n") == 0x3f800001);
  CHECK(result("cvt.rzi.u64.f32 %rd3, 0fBF800000;\ncvt.u32.u64 %r2, %rd3;\n") == 0);
  CHECK(result("cvt.rn.bf16x2.f32 %r2, 0f3F808000, 0f3F818000;\n") == 0x3f803f82);
}

TEST_CASE("PTX: what is not known, and what never ends, is named") {
  CHECK_THAT(message("vadd2.s32 %r2, %r1, %r1;\n"), Contains("instruction vadd2.s32 is not known"));
  CHECK_THAT(message("mov.u32 %r2, %clock;\n"), Contains("register %clock is not declared"));
  CHECK_THAT(message("bra $nowhere;\n"), Contains("no such label"));
  CHECK_THAT(message("setp.eq.s32 %p1, %r1, 5;\n@%p1 ret;\nshfl.sync.bfly.b32 %r2, %r1, 1, 31, -1;\n"),
             Contains("waits for lanes that have ended"));
  CHECK_THAT(message("setp.eq.s32 %p1, %r1, 5;\n@%p1 ret;\nbar.sync 0;\n"),
             Contains("threads that have ended"));
  CHECK_THAT(message("setp.eq.s32 %p1, %r1, 5;\n@%p1 bra $other;\nbar.warp.sync -1;\n$other:\nbar.sync 0;\n"),
             Contains("deadlock"));
  CHECK_THAT(message("mov.u32 %r3, memory;\nld.shared.u32 %r2, [%r3+64];\n"),
             Contains("outside shared memory"));
  CHECK_THAT(message("mov.u32 %r3, memory;\nld.shared.v2.u32 {%r2, %r4}, [%r3+4];\n"),
             Contains("misaligned"));
}
