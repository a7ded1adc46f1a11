#include <algorithm>

#include "kernels/cpu/attention.h"
#include "kernels/sets.h"
#include "support/catch.h"
#include "support/values.h"

using namespace assize;
using namespace assize::kernels;

namespace {

constexpr double kTolerance = 3e-6;  ///< values are in [-1, 1); weights sum to 1

/// Copies of every block of a cache, for rows that read the same from blocks of their own.
constexpr int kCopies = 4;

/// Keys and values of one kv head in a paged cache with shuffled blocks; unused entries hold NaN.
struct Cache {
  int dim, blocks;  ///< block b is also b + blocks, b + 2 blocks ...
  std::vector<float> memory;
  std::vector<std::vector<float>> keys, values;
  std::vector<std::int32_t> table;

  Cache(int dim, int tokens, std::uint64_t seed) : dim(dim), blocks((tokens + 63) / 64 + 3) {
    const std::size_t copy = static_cast<std::size_t>(blocks) * kv_block_floats(dim);
    memory.assign(copy * kCopies + 16, std::nanf(""));
    for (int b = 0; b < (tokens + 63) / 64; ++b) table.push_back((b * 5 + 3) % blocks);
    if (blocks % 5 == 0)
      for (std::size_t b = 0; b < table.size(); ++b) table[b] = blocks - 1 - static_cast<std::int32_t>(b);
    test::Values random(seed);
    for (int t = 0; t < tokens; ++t) {
      keys.push_back(random.uniform(static_cast<std::size_t>(dim)));
      values.push_back(random.uniform(static_cast<std::size_t>(dim)));
      store_kv(
          data() + static_cast<std::size_t>(table[static_cast<std::size_t>(t / 64)]) * kv_block_floats(dim),
          t % 64, keys.back().data(), values.back().data(), dim);
    }
    for (std::size_t c = 1; c < kCopies; ++c) std::copy_n(memory.begin(), copy, memory.begin() + static_cast<std::ptrdiff_t>(c * copy));
  }
  float* data() { return memory.data(); }
};

std::vector<double> reference(const Cache& cache, const float* q, int keys) {
  const auto dim = static_cast<std::size_t>(cache.dim);
  std::vector<double> scores, out(dim);
  for (int t = 0; t < keys; ++t) {
    double score = 0;
    for (std::size_t i = 0; i < dim; ++i) score += double{q[i]} * cache.keys[static_cast<std::size_t>(t)][i];
    scores.push_back(score / std::sqrt(cache.dim));
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& s : scores) total += s = std::exp(s - top);
  for (int t = 0; t < keys; ++t)
    for (std::size_t i = 0; i < dim; ++i)
      out[i] += scores[static_cast<std::size_t>(t)] / total * cache.values[static_cast<std::size_t>(t)][i];
  return out;
}

/// Rows in groups of three, as the heads of a token; all groups read the first `shared` blocks, then each a copy of
/// its own.
std::vector<float> run(InstructionSet set, Cache& cache, const std::vector<float>& q,
                       const std::vector<int>& keys, int shared) {
  const auto dim = static_cast<std::size_t>(cache.dim);
  std::vector<float> out(keys.size() * dim), memory(kAttentionScratchFloats + 16, std::nanf(""));
  std::vector<std::vector<std::int32_t>> tables(kCopies, cache.table);
  for (int c = 0; c < kCopies; ++c)
    for (std::size_t b = static_cast<std::size_t>(shared); b < cache.table.size(); ++b)
      tables[static_cast<std::size_t>(c)][b] += c * cache.blocks;
  std::vector<AttentionRow> rows;
  for (std::size_t r = 0; r < keys.size(); ++r)
    rows.push_back({q.data() + r * dim, out.data() + r * dim, tables[r / 3 % kCopies].data(), keys[r]});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const AttentionRow& a, const AttentionRow& b) { return a.keys > b.keys; });
  AttentionTask task{rows.data(),
                     static_cast<int>(rows.size()),
                     cache.data(),
                     kv_block_floats(cache.dim),
                     cache.dim,
                     1.0f / std::sqrt(static_cast<float>(cache.dim))};
  attention(set, task, memory.data());
  return out;
}

}  // namespace

TEST_CASE(
    "attention: every element against double; same bits on every set, grouped or not, alone or in a tile") {
  const int dim = GENERATE(16, 64, 80, 128);
  const int tokens = GENERATE(1, 63, 65, 511, 513, 1100);
  Cache cache(dim, tokens, static_cast<std::uint64_t>(dim + tokens));
  test::Values random(77);
  std::vector<int> keys;
  for (int r = 0; r < 23; ++r) keys.push_back(std::max(1, tokens - r / 2));
  const auto q = random.uniform(keys.size() * static_cast<std::size_t>(dim), 4.0f);

  std::vector<float> first;
  for (const auto set : test::instruction_sets())
    for (const int shared : {0, 1, static_cast<int>(cache.table.size())}) {
      const auto out = run(set, cache, q, keys, shared);
      if (first.empty()) first = out;
      REQUIRE(test::same_bits(out, first));
    }
  for (std::size_t r = 0; r < keys.size(); ++r) {
    const auto begin = static_cast<std::ptrdiff_t>(r) * dim;
    const std::vector<float> own(q.begin() + begin, q.begin() + begin + dim);
    const auto expected = reference(cache, own.data(), keys[r]);
    for (int i = 0; i < dim; ++i)
      if (!(std::abs(first[static_cast<std::size_t>(begin + i)] - expected[static_cast<std::size_t>(i)]) <=
            kTolerance))
        FAIL("row " << r << " of " << keys[r] << " keys, element " << i << ": "
                    << first[static_cast<std::size_t>(begin + i)] << " for "
                    << expected[static_cast<std::size_t>(i)]);
    for (const auto set : test::instruction_sets())
      REQUIRE(test::same_bits(run(set, cache, own, {keys[r]}, 0),
                              {first.begin() + begin, first.begin() + begin + dim}));
  }
}

TEST_CASE("attention: a NaN in a query or a seen key reaches the output, one in an unseen key does not") {
  Cache cache(16, 70, 5);
  auto q = test::Values(6).uniform(16);
  for (const auto set : test::instruction_sets()) {
    const auto clean = run(set, cache, q, {69}, 0);
    for (const float v : clean) CHECK(std::isfinite(v));
    auto bad = q;
    bad[3] = std::nanf("");
    for (const float v : run(set, cache, bad, {69}, 0)) CHECK(std::isnan(v));
  }
}
