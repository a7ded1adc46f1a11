#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cuda/attention.h"
#include "support/paths.h"
#include "support/values.h"
#include "tests/cuda_emulation/device_array.h"

using namespace assize;
using namespace assize::kernels::cuda;
using assize::test::bf16s;
using assize::test::DeviceArray;
using assize::test::number;

namespace {

/// The result is a mean of values in [-1, 1] whose weights were rounded to bf16, rounded to bf16 itself.
constexpr double kRelative = test::kBf16Rounding;
constexpr double kAbsolute = 1.5e-3;

/// Sequences over a paged cache with their own and shared blocks, in scattered order.
struct Case {
  int heads = 1, kv_heads = 1, head_dim = 64;
  struct Sequence {
    int context = 0, rows = 1;
  };
  std::vector<Sequence> sequences;
  int first_shared = 0, shared_count = 0, shared_tokens = 0;
};

struct Inputs {
  std::vector<SequenceRows> sequences;
  std::vector<SharedRows> shared;
  std::vector<std::int32_t> blocks;
  std::vector<Bf16> q, cache;
  int rows = 0, block_count = 0;
  std::int64_t q_stride = 0, block_stride = 0;
};

/// Entries that belong to no token are NaN: reading one shows.
Inputs make_inputs(const Case& c, std::uint64_t seed) {
  test::Values values(seed);
  Inputs in;
  std::vector<int> needed;
  for (std::size_t s = 0; s < c.sequences.size(); ++s) {
    const auto [context, rows] = c.sequences[s];
    const int blocks = (context + rows + kBlockTokens - 1) / kBlockTokens;
    in.sequences.push_back({in.rows, rows, context, static_cast<std::int32_t>(in.blocks.size())});
    const auto index = static_cast<int>(s);
    const bool shares = index > c.first_shared && index < c.first_shared + c.shared_count;
    for (int b = 0; b < blocks; ++b) {
      const bool of_first = shares && b < c.shared_tokens / kBlockTokens;
      in.blocks.push_back(of_first
                              ? in.blocks[static_cast<std::size_t>(
                                    in.sequences[static_cast<std::size_t>(c.first_shared)].block_begin + b)]
                              : in.block_count++);
    }
    in.rows += rows;
  }
  if (c.shared_count > 0) in.shared.push_back({c.first_shared, c.shared_count, c.shared_tokens});
  // A permutation of the blocks.
  std::vector<std::int32_t> place(static_cast<std::size_t>(in.block_count));
  for (int i = 0; i < in.block_count; ++i) place[static_cast<std::size_t>(i)] = i;
  for (int i = in.block_count - 1; i > 0; --i)
    std::swap(place[static_cast<std::size_t>(i)], place[static_cast<std::size_t>(values.below(i + 1))]);
  for (auto& block : in.blocks) block = place[static_cast<std::size_t>(block)];

  in.q_stride = (c.heads + 2 * c.kv_heads) * c.head_dim;
  in.q = bf16s(values.uniform(static_cast<std::size_t>(in.rows * in.q_stride), 3.0f));
  in.block_stride = 2 * c.kv_heads * kBlockTokens * c.head_dim + 64;
  in.cache.assign(static_cast<std::size_t>(in.block_count * in.block_stride), 0xffff);
  for (const auto& sequence : in.sequences)
    for (int token = 0; token < sequence.context_tokens + sequence.row_count; ++token) {
      const std::int64_t block =
          in.blocks[static_cast<std::size_t>(sequence.block_begin + token / kBlockTokens)];
      for (int h = 0; h < 2 * c.kv_heads; ++h)
        for (int i = 0; i < c.head_dim; ++i) {
          auto& entry = in.cache[static_cast<std::size_t>(
              block * in.block_stride + (h * kBlockTokens + token % kBlockTokens) * c.head_dim + i)];
          if (entry == 0xffff) entry = test::bf16(values.uniform());
        }
    }
  return in;
}

/// softmax(q k / sqrt(dim)) v of one row and head in double precision; key(j) and value(j) are rows of
/// head_dim.
template <class Key, class Value>
std::vector<double> reference_row(const Bf16* q, int keys, int head_dim, const Key& key, const Value& value) {
  std::vector<double> score(static_cast<std::size_t>(keys)), out(static_cast<std::size_t>(head_dim));
  double maximum = -INFINITY, sum = 0;
  for (int j = 0; j < keys; ++j) {
    double s = 0;
    for (int i = 0; i < head_dim; ++i) s += double(number(q[i])) * number(key(j)[i]);
    score[static_cast<std::size_t>(j)] = s / std::sqrt(double(head_dim));
    maximum = std::max(maximum, score[static_cast<std::size_t>(j)]);
  }
  for (int j = 0; j < keys; ++j) {
    const double weight = std::exp(score[static_cast<std::size_t>(j)] - maximum);
    sum += weight;
    for (int i = 0; i < head_dim; ++i) out[static_cast<std::size_t>(i)] += weight * number(value(j)[i]);
  }
  for (double& x : out) x /= sum;
  return out;
}

std::vector<double> reference(const Case& c, const Inputs& in) {
  std::vector<double> out;
  for (const auto& sequence : in.sequences)
    for (int r = 0; r < sequence.row_count; ++r)
      for (int h = 0; h < c.heads; ++h) {
        const int kv_head = h / (c.heads / c.kv_heads);
        const auto entry = [&](int kv, int j) {
          const std::int64_t block =
              in.blocks[static_cast<std::size_t>(sequence.block_begin + j / kBlockTokens)];
          return in.cache.data() + block * in.block_stride +
                 ((kv * c.kv_heads + kv_head) * kBlockTokens + j % kBlockTokens) * c.head_dim;
        };
        const auto row = reference_row(
            in.q.data() + (sequence.row_begin + r) * in.q_stride + h * c.head_dim,
            sequence.context_tokens + r + 1, c.head_dim, [&](int j) { return entry(0, j); },
            [&](int j) { return entry(1, j); });
        out.insert(out.end(), row.begin(), row.end());
      }
  return out;
}

/// Runs both kernels as planned for `wanted_items`. With `all_prefill`, rows of decode are computed by the prefill
/// kernel.
std::vector<Bf16> run(const Case& c, const Inputs& in, bool all_prefill = false, int wanted_items = 1) {
  AttentionWork work;
  const int group = c.heads / c.kv_heads;
  plan_attention(in.sequences, in.shared, group, wanted_items, work);
  if (all_prefill) {
    work = {};
    for (const auto& s : in.sequences)
      for (int flat = 0; flat < s.row_count * group; flat += kPrefillRows)
        work.prefill.push_back({s.row_begin, s.row_count, flat, s.context_tokens, s.block_begin});
  }
  DeviceArray<Bf16> q(in.q), cache(in.cache), out(static_cast<std::size_t>(in.rows * c.heads * c.head_dim));
  DeviceArray<std::int32_t> blocks(in.blocks);
  DeviceArray<PrefillItem> prefill(work.prefill);
  DeviceArray<DecodeColumn> columns(work.columns);
  DeviceArray<DecodeItem> decode(work.decode);
  DeviceArray<float> workspace(
      static_cast<std::size_t>(decode_workspace_floats(work.partials, c.kv_heads, c.head_dim)));
#ifdef ASSIZE_CUDA_EMULATION
  cuda_emulation::watch_pages(cache.data(), static_cast<std::size_t>(in.block_count),
                              static_cast<std::size_t>(in.block_stride) * sizeof(Bf16));
  cuda_emulation::counters().bank_conflicts = 0;
#endif
  const AttentionArrays arrays{q.data(),     in.q_stride,
                               out.data(),   c.heads * c.head_dim,
                               c.heads,      {cache.data(), in.block_stride, c.kv_heads, c.head_dim},
                               blocks.data()};
  REQUIRE(attention_prefill(arrays, prefill.data(), static_cast<int>(work.prefill.size()), nullptr) == 0);
  REQUIRE(attention_decode(arrays, columns.data(), static_cast<int>(work.columns.size()), decode.data(),
                           static_cast<int>(work.decode.size()), work.max_columns, work.partials,
                           workspace.data(), nullptr) == 0);
#ifdef ASSIZE_CUDA_EMULATION
  CHECK(cuda_emulation::counters().bank_conflicts == 0);
#endif
  return out.values();
}

void check_close(const std::vector<Bf16>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(number(got[i]) - expected[i]) <= kRelative * std::abs(expected[i]) + kAbsolute))
      FAIL("element " << i << ": " << number(got[i]) << " for " << expected[i]);
}

void check_case(const Case& c, bool few_schedules) {
  INFO("heads " << c.heads << "/" << c.kv_heads << " x " << c.head_dim << ", first context "
                << c.sequences[0].context << " + " << c.sequences[0].rows);
  const Inputs in = make_inputs(c, static_cast<std::uint64_t>(c.heads * 131 + c.head_dim));
  const auto expected = reference(c, in);
  test::for_schedules(few_schedules, [&] { check_close(run(c, in), expected); });
}

}  // namespace

TEST_CASE("prefill: sizes, page boundaries, groups and head sizes") {
  check_case({1, 1, 64, {{0, 2}}}, false);
  check_case({2, 1, 64, {{0, 31}, {64, 2}, {63, 3}}}, false);
  check_case({7, 1, 128, {{57, 13}}}, false);
  check_case({3, 1, 80, {{1, 64}}}, true);
  check_case({4, 1, 64, {{0, 65}}}, true);
  check_case({4, 2, 64, {{127, 17}, {0, 5}}}, true);
  check_case({8, 1, 128, {{0, 9}}}, true);
}

TEST_CASE("prefill: several chunks") {
  check_case({1, 1, 64, {{448, 67}}}, true);
  check_case({2, 1, 64, {{509, 11}}}, true);
  check_case({1, 1, 128, {{1020, 7}}}, true);
}

TEST_CASE("decode: groups of heads, page and chunk boundaries") {
  check_case({1, 1, 64, {{0, 1}, {1, 1}, {63, 1}, {64, 1}}}, false);
  check_case({2, 1, 64, {{126, 1}, {510, 1}}}, true);
  check_case({3, 1, 80, {{511, 1}}}, true);
  check_case({4, 1, 128, {{512, 1}}}, true);
  check_case({14, 2, 64, {{130, 1}, {10, 1}}}, false);
  check_case({8, 1, 64, {{575, 1}}}, true);
  check_case({12, 1, 64, {{70, 1}}}, true);  // two columns of heads
}

TEST_CASE("decode: contexts of thousands of tokens") {
  check_case({2, 1, 64, {{4099, 1}}}, true);
  check_case({1, 1, 128, {{2047, 1}, {2048, 1}}}, true);
}

TEST_CASE("chunks are merged in order of position") {
  // All weights are equal. The values of the first two chunks cancel exactly if they meet first; what the
  // third holds would be lost beside either of them.
  const Case c{1, 1, 64, {{3 * kChunkTokens - 1, 1}}};
  Inputs in = make_inputs(c, 21);
  std::fill(in.q.begin(), in.q.end(), Bf16{0});
  for (int token = 0; token < 2 * kChunkTokens; ++token)
    for (int i = 0; i < c.head_dim; ++i) {
      const std::int64_t block = in.blocks[static_cast<std::size_t>(token / kBlockTokens)];
      in.cache[static_cast<std::size_t>(block * in.block_stride +
                                        (kBlockTokens + token % kBlockTokens) * c.head_dim + i)] =
          test::bf16(token < kChunkTokens ? 0x1p20f : -0x1p20f);
    }
  const auto expected = reference(c, in);
  test::for_schedules(true, [&] {
    check_close(run(c, in), expected);
    check_close(run(c, in, true), expected);
  });
}

TEST_CASE("decode: shared prefixes give the bits of lone sequences") {
  for (Case c : {Case{7, 1, 64, {{130, 1}, {200, 1}, {128, 1}, {190, 1}, {140, 1}}, 0, 5, 128},
                 Case{2, 1, 128, {{600, 1}, {640, 1}, {577, 1}}, 0, 3, 576},
                 Case{4, 2, 80, {{5, 1}, {513, 1}, {600, 1}, {64, 2}, {70, 1}}, 1, 2, 512},
                 Case{1,
                      1,
                      64,
                      {{64, 1}, {65, 1}, {66, 1}, {67, 1}, {68, 1}, {69, 1}, {70, 1}, {71, 1}, {900, 1}},
                      0,
                      9,
                      64}}) {
    const Inputs in = make_inputs(c, 99);
    check_close(run(c, in), reference(c, in));
    const auto together = run(c, in);
    Inputs alone = in;
    alone.shared.clear();
    test::for_schedules(true, [&] { CHECK(run(c, in) == together); });
    CHECK(run(c, alone) == together);
    CHECK(run(c, in, true) == together);
    for (const int items : {6, 1000}) CHECK(run(c, in, false, items) == together);  // fewer columns in each
  }
}

TEST_CASE("a prefill row has the same bits in any company") {
  const Case c{6, 2, 64, {{500, 40}, {3, 7}}};
  const Inputs in = make_inputs(c, 5);
  const auto together = run(c, in);
  // The rows of the first sequence in pieces of 1 (by decode), 2, 37.
  Inputs pieces = in;
  const SequenceRows first = in.sequences[0];
  pieces.sequences.clear();
  int done = 0;
  for (const int rows : {1, 2, 37}) {
    pieces.sequences.push_back(
        {first.row_begin + done, rows, first.context_tokens + done, first.block_begin});
    done += rows;
  }
  pieces.sequences.push_back(in.sequences[1]);
  CHECK(run(c, pieces) == together);
}

#ifdef ASSIZE_CUDA_EMULATION
TEST_CASE("decode: columns taken two, four and six at a time have the bits of lone ones") {
  for (const int dim : {64, 80, 128}) {
    for (const auto& [votes, kv_heads] : {std::pair{2, 1}, {2, 2}, {3, 1}, {3, 2}, {5, 1}, {5, 2}}) {
      INFO(votes << " votes, head_dim " << dim);
      Case c{kv_heads, kv_heads, dim, {}, 0, votes, 64};
      for (int v = 0; v < votes; ++v) c.sequences.push_back({64 + 9 * v, 1});
      const Inputs in = make_inputs(c, static_cast<std::uint64_t>(dim + votes));
      const auto together = run(c, in);
      check_close(together, reference(c, in));
      Inputs alone = in;
      alone.shared.clear();
      CHECK(run(c, alone) == together);
    }
  }
}

TEST_CASE("grouped decode reads a shared prefix once") {
  Case c{7, 1, 64, {}, 0, 5, 704};
  for (int vote = 0; vote < 5; ++vote) c.sequences.push_back({705 + 9 * vote, 1});
  const Inputs in = make_inputs(c, 3);
  const auto shared_bytes = [&] {
    std::uint64_t sum = 0;
    for (int b = 0; b < c.shared_tokens / kBlockTokens; ++b)
      sum +=
          cuda_emulation::watched_bytes()[static_cast<std::size_t>(in.blocks[static_cast<std::size_t>(b)])];
    return sum;
  };
  run(c, in);
  const std::uint64_t grouped = shared_bytes();
  Inputs alone = in;
  alone.shared.clear();
  run(c, alone);
  const std::uint64_t lone = shared_bytes();
  CHECK(lone == std::uint64_t{5} * 2 * 704 * 64 * sizeof(Bf16));
  CHECK(grouped * 5 == lone);
}

TEST_CASE("the budget names the shared memory that launches ask for") {
  const auto budget = nlohmann::json::parse(std::ifstream(support::source_dir() + "/kernels/cuda/budget.json"));
  const auto launched = [](const Case& c) {
    const Inputs in = make_inputs(c, 1);
    cuda_emulation::counters() = {};
    run(c, in);
    return cuda_emulation::counters().shared_bytes;
  };
  for (const int dim : {64, 80, 128}) {
    const auto budgeted = [&](const std::string& kernel, const std::string& kind) {
      return budget.at(kernel + "<" + std::to_string(dim) + ", " + kind + ">")
          .at("shared_bytes")
          .get<std::uint64_t>();
    };
    CHECK(budgeted("prefill_kernel", "true") == launched({1, 1, dim, {{0, 2}}}));
    CHECK(budgeted("prefill_kernel", "false") == budgeted("prefill_kernel", "true"));
    CHECK(budgeted("decode_kernel", "1") == launched({1, 1, dim, {{3, 1}}}));
    for (const int votes : {2, 4, 6}) {
      const std::vector<Case::Sequence> sequences(static_cast<std::size_t>(votes), {64, 1});
      CHECK(budgeted("decode_kernel", std::to_string(votes)) == launched({1, 1, dim, sequences, 0, votes, 64}));
    }
  }
}
#endif

TEST_CASE("segments: windows and whole pictures, bidirectional") {
  struct Encoder {
    int heads, head_dim;
    std::vector<std::int32_t> ends;
  };
  for (const Encoder& e :
       {Encoder{2, 80, {1, 3, 67, 67, 131}}, Encoder{1, 64, {64, 101}}, Encoder{2, 128, {7, 72}},
        Encoder{1, 80, {521}}, Encoder{1, 64, {5}}, Encoder{1, 128, {66}}}) {
    const int rows = e.ends.back(), width = e.heads * e.head_dim;
    test::Values values(static_cast<std::uint64_t>(rows));
    const auto qkv = bf16s(values.uniform(static_cast<std::size_t>(rows * 3 * width), 2.0f));
    std::vector<double> expected;
    int segment = 0;
    for (int r = 0; r < rows; ++r) {
      while (e.ends[static_cast<std::size_t>(segment)] <= r) ++segment;
      const int begin = segment ? e.ends[static_cast<std::size_t>(segment - 1)] : 0;
      for (int h = 0; h < e.heads; ++h) {
        const auto at = [&](int row, int part) {
          return qkv.data() + (row * 3 + part) * width + h * e.head_dim;
        };
        const auto out = reference_row(
            at(r, 0), e.ends[static_cast<std::size_t>(segment)] - begin, e.head_dim,
            [&](int j) { return at(begin + j, 1); }, [&](int j) { return at(begin + j, 2); });
        expected.insert(expected.end(), out.begin(), out.end());
      }
    }
    test::for_schedules(rows > 140, [&] {
      std::vector<PrefillItem> plan;
      plan_segments(e.ends, plan);
      DeviceArray<Bf16> in(qkv), out(static_cast<std::size_t>(rows * width));
      DeviceArray<PrefillItem> items(plan);
      REQUIRE(attention_segments(in.data(), e.heads, e.head_dim, items.data(), static_cast<int>(plan.size()),
                                 out.data(), nullptr) == 0);
      check_close(out.values(), expected);
    });
  }
}

TEST_CASE("plans: empty steps and unknown head sizes") {
  AttentionWork work;
  plan_attention({}, {}, 4, 1, work);
  CHECK(work.prefill.empty());
  CHECK(work.decode.empty());
  AttentionArrays arrays;
  arrays.heads = 1;
  arrays.cache = {nullptr, 0, 1, 96};
  CHECK(attention_prefill(arrays, nullptr, 0, nullptr) != 0);
}
