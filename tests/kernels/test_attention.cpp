#include <algorithm>

#include "kernels/cpu/attention.h"
#include "kernels/sets.h"
#include "support/catch.h"
#include "support/values.h"

using namespace assize;
using namespace assize::kernels;

namespace {

constexpr double kTolerance = 3e-6;  ///< values are in [-1, 1); weights sum to 1

/// Keys and values of one kv head in a paged cache with shuffled blocks; unused entries hold NaN.
struct Cache {
  int dim, blocks;
  std::vector<float> memory;
  std::vector<std::vector<float>> keys, values;
  std::vector<std::int32_t> table;

  Cache(int dim, int tokens, std::uint64_t seed) : dim(dim), blocks((tokens + 63) / 64 + 3) {
    memory.assign(static_cast<std::size_t>(blocks) * kv_block_floats(dim) + 16, std::nanf(""));
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

std::vector<float> run(InstructionSet set, Cache& cache, const std::vector<float>& q,
                       const std::vector<int>& keys, int shared_blocks) {
  const auto dim = static_cast<std::size_t>(cache.dim);
  std::vector<float> out(keys.size() * dim), memory(kAttentionScratchFloats + 16, std::nanf(""));
  std::vector<AttentionRow> rows;
  for (std::size_t r = 0; r < keys.size(); ++r)
    rows.push_back({q.data() + r * dim, out.data() + r * dim, cache.table.data(), keys[r]});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const AttentionRow& a, const AttentionRow& b) { return a.keys > b.keys; });
  AttentionTask task{rows.data(),
                     static_cast<int>(rows.size()),
                     shared_blocks,
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
