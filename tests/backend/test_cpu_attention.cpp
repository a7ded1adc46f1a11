#include <algorithm>
#include <cmath>

#include "backend/backend_fixture.h"

using namespace assize;
using namespace assize::backend;
using Floats = std::vector<float>;

namespace {

constexpr std::int32_t kHeads = 6, kKvHeads = 2, kDim = 32, kWidth = (kHeads + 2 * kKvHeads) * kDim;
constexpr double kTolerance = 1e-5;

Rope rope() {
  Rope r;
  for (int j = 0; j < kDim / 2; ++j) {
    r.inv_freq.push_back(static_cast<float>(std::pow(10000.0, -2.0 * j / kDim)));
    r.component.push_back(static_cast<std::uint8_t>(j % 3));
  }
  return r;
}

/// Rotated copy of a row's q and k heads, in double.
std::vector<double> rotated(const float* row, int heads, const std::vector<double>& angles) {
  std::vector<double> out(row, row + heads * kDim);
  const int half = kDim / 2;
  for (int h = 0; h < heads; ++h)
    for (int j = 0; j < half; ++j) {
      const double u = row[h * kDim + j], v = row[h * kDim + half + j];
      const double a = angles[static_cast<std::size_t>(j)];
      out[static_cast<std::size_t>(h * kDim + j)] = u * std::cos(a) - v * std::sin(a);
      out[static_cast<std::size_t>(h * kDim + half + j)] = v * std::cos(a) + u * std::sin(a);
    }
  return out;
}

/// softmax(q K^T / sqrt d) V for one head over keys [begin, end) of rotated rows.
std::vector<double> attend(const double* q, const std::vector<std::vector<double>>& keys,
                           const std::vector<const float*>& values, std::size_t head_offset,
                           std::size_t begin, std::size_t end) {
  std::vector<double> scores, out(kDim);
  double top = -1e300, total = 0;
  for (std::size_t t = begin; t < end; ++t) {
    double s = 0;
    for (int i = 0; i < kDim; ++i) s += q[i] * keys[t][head_offset + static_cast<std::size_t>(i)];
    scores.push_back(s / std::sqrt(kDim));
    top = std::max(top, scores.back());
  }
  for (double& s : scores) total += s = std::exp(s - top);
  for (std::size_t t = begin; t < end; ++t)
    for (int i = 0; i < kDim; ++i)
      out[static_cast<std::size_t>(i)] +=
          scores[t - begin] / total * double{values[t][head_offset + static_cast<std::size_t>(i)]};
  return out;
}

std::int32_t position(std::int32_t token, int component) { return token + component * (token % 5); }

/// A sequence of `tokens` random rows in blocks of its own choice.
struct Sequence {
  Floats rows;
  std::vector<std::int32_t> blocks;
};

struct Piece {
  const Sequence* sequence;
  std::int32_t begin, count;
};

/// One step over pieces of sequences; returns the attention output of all rows.
Floats step(Backend& b, KvCache& cache, const std::vector<Piece>& pieces,
            const std::vector<SharedPrefix>& shared) {
  Floats qkv;
  std::vector<std::int32_t> positions, slots;
  AttentionPlan plan;
  plan.shared = shared;
  for (const auto& piece : pieces) {
    plan.sequences.push_back({static_cast<std::int32_t>(slots.size()), piece.count, piece.begin,
                              static_cast<std::int32_t>(plan.blocks.size())});
    plan.blocks.insert(plan.blocks.end(), piece.sequence->blocks.begin(), piece.sequence->blocks.end());
    qkv.insert(qkv.end(), piece.sequence->rows.begin() + piece.begin * kWidth,
               piece.sequence->rows.begin() + (piece.begin + piece.count) * kWidth);
    for (std::int32_t t = piece.begin; t < piece.begin + piece.count; ++t)
      slots.push_back(piece.sequence->blocks[static_cast<std::size_t>(t / kBlockTokens)] * kBlockTokens +
                      t % kBlockTokens);
  }
  for (int component = 0; component < 3; ++component)
    for (const auto& piece : pieces)
      for (std::int32_t t = piece.begin; t < piece.begin + piece.count; ++t)
        positions.push_back(position(t, component));
  const auto rows = static_cast<std::int32_t>(slots.size());
  const auto x = test::upload(b, qkv, kWidth), out = b.allocate(rows, kHeads * kDim);
  b.rope_and_store(x, rows, kHeads, kKvHeads, kDim, rope(), positions, slots, cache, 1);
  b.attention(x, kHeads, kKvHeads, kDim, plan, cache, 1, out);
  return test::download(b, out, static_cast<std::size_t>(rows));
}

}  // namespace

TEST_CASE(
    "backend attention: against double; same bits in one prefill, in chunks, token by token, in any "
    "company") {
  const std::int32_t tokens = 700;
  test::Values values(31);
  Sequence one{values.uniform(static_cast<std::size_t>(tokens * kWidth), 2.0f), {}};
  for (int block = 0; block < (tokens + 63) / 64; ++block) one.blocks.push_back(20 - block);
  const Sequence other{values.uniform(static_cast<std::size_t>(100 * kWidth)), {21, 22}};

  const auto whole = [&](Backend& b) {
    const auto cache = b.make_kv_cache(23, 2, kKvHeads, kDim);
    return step(b, *cache, {{&one, 0, tokens}}, {});
  };
  Floats first;
  for (const CpuSettings& settings : {CpuSettings{1, "avx2"}, CpuSettings{1, ""}, CpuSettings{2, ""}}) {
    const auto out = test::on_group<Floats>(1, settings, whole);
    if (first.empty()) first = out;
    REQUIRE(out == first);
  }

  std::vector<std::vector<double>> keys;
  std::vector<const float*> value_rows;
  std::vector<std::vector<double>> queries;
  const auto frequencies = rope();
  for (std::int32_t t = 0; t < tokens; ++t) {
    const float* row = one.rows.data() + t * kWidth;
    std::vector<double> angles;
    for (int j = 0; j < kDim / 2; ++j)
      angles.push_back(static_cast<float>(position(t, j % 3)) *
                       frequencies.inv_freq[static_cast<std::size_t>(j)]);
    queries.push_back(rotated(row, kHeads, angles));
    keys.push_back(rotated(row + kHeads * kDim, kKvHeads, angles));
    value_rows.push_back(row + (kHeads + kKvHeads) * kDim);
  }
  for (std::int32_t t = 0; t < tokens; t += 23)
    for (int h = 0; h < kHeads; ++h) {
      const auto expected = attend(queries[static_cast<std::size_t>(t)].data() + h * kDim, keys, value_rows,
                                   static_cast<std::size_t>(h / (kHeads / kKvHeads) * kDim), 0,
                                   static_cast<std::size_t>(t + 1));
      for (int i = 0; i < kDim; ++i)
        REQUIRE(std::abs(first[static_cast<std::size_t>((t * kHeads + h) * kDim + i)] -
                         expected[static_cast<std::size_t>(i)]) <= kTolerance);
    }

  const auto pieces = test::on_group<Floats>(1, {2, ""}, [&](Backend& b) {
    const auto cache = b.make_kv_cache(23, 2, kKvHeads, kDim);
    Floats all;
    std::int32_t t = 0;
    for (const std::int32_t count : {1, 62, 3, 130, 1, 1, 317, 100, 85}) {
      // Every other step in the company of another sequence, before and behind.
      const bool company = t % 2 == 1;
      auto list = company ? std::vector<Piece>{{&other, 0, 33}, {&one, t, count}}
                          : std::vector<Piece>{{&one, t, count}};
      const auto out = step(b, *cache, list, {});
      all.insert(all.end(), out.begin() + (company ? 33 * kHeads * kDim : 0), out.end());
      t += count;
    }
    REQUIRE(t == tokens);
    return all;
  });
  REQUIRE(pieces == first);
}

TEST_CASE("backend attention: votes forked from one prompt, with and without the shared-prefix hint") {
  const std::int32_t prompt = 200, votes = 20;
  test::Values values(32);
  Sequence base{values.uniform(static_cast<std::size_t>(prompt * kWidth), 2.0f), {0, 1, 2, 3}};
  std::vector<Sequence> forks;
  for (std::int32_t v = 0; v < votes; ++v) {
    Sequence fork = base;
    const auto more = values.uniform(static_cast<std::size_t>((1 + v % 3) * kWidth));
    fork.rows.insert(fork.rows.end(), more.begin(), more.end());
    fork.blocks = {0, 1, 2, 4 + v};
    forks.push_back(fork);
  }
  const auto decode = [&](Backend& b, bool hint) {
    const auto cache = b.make_kv_cache(4 + votes, 2, kKvHeads, kDim);
    step(b, *cache, {{&base, 0, prompt}}, {});
    Floats all;
    for (std::int32_t v = 0; v < votes; ++v) b.copy_block(*cache, 3, 4 + v, prompt - 192);
    for (std::int32_t n = 0; n < 3; ++n) {
      std::vector<Piece> list;
      for (std::int32_t v = 0; v < votes; ++v)
        if (v % 3 >= n) list.push_back({&forks[static_cast<std::size_t>(v)], prompt + n, 1});
      std::vector<SharedPrefix> shared;
      if (hint) shared.push_back({0, static_cast<std::int32_t>(list.size()), 192});
      const auto out = step(b, *cache, list, shared);
      all.insert(all.end(), out.begin(), out.end());
    }
    return all;
  };
  const auto grouped = test::on_group<Floats>(1, {2, ""}, [&](Backend& b) { return decode(b, true); });
  const auto single = test::on_group<Floats>(1, {1, "avx2"}, [&](Backend& b) { return decode(b, false); });
  REQUIRE(grouped == single);
  const auto straight = test::on_group<Floats>(1, {1, ""}, [&](Backend& b) {
    const auto cache = b.make_kv_cache(4 + votes, 2, kKvHeads, kDim);
    return step(b, *cache, {{&forks[2], 0, prompt + 3}}, {});
  });
  const auto row = static_cast<std::ptrdiff_t>(kHeads * kDim);
  REQUIRE(Floats(grouped.begin() + 2 * row, grouped.begin() + 3 * row) ==
          Floats(straight.begin() + prompt * row, straight.begin() + (prompt + 1) * row));
}

TEST_CASE("backend vision attention: bidirectional inside segments, against double") {
  const std::int32_t rows = 611, heads = 3, dim = 80;
  const std::vector<std::int32_t> ends{4, 68, 84, 611};
  test::Values values(33);
  const auto qkv = values.uniform(static_cast<std::size_t>(rows * 3 * heads * dim), 2.0f);
  const auto angles = values.uniform(static_cast<std::size_t>(rows * dim / 2), 20.0f);
  Floats first;
  for (const CpuSettings& settings : {CpuSettings{1, "avx2"}, CpuSettings{2, ""}}) {
    const auto out = test::on_group<Floats>(1, settings, [&](Backend& b) {
      const auto x = test::upload(b, qkv, 3 * heads * dim), y = b.allocate(rows, heads * dim);
      b.vision_attention(x, rows, heads, dim, angles, ends, y);
      return test::download(b, y, static_cast<std::size_t>(rows));
    });
    if (first.empty()) first = out;
    REQUIRE(out == first);
  }
  const auto rotate = [&](std::int32_t r, std::int32_t head) {
    const float* at = qkv.data() + (r * 3 * heads + head) * dim;
    std::vector<double> out(at, at + dim);
    for (int j = 0; j < dim / 2; ++j) {
      const double a = angles[static_cast<std::size_t>(r * dim / 2 + j)], u = at[j], v = at[j + dim / 2];
      out[static_cast<std::size_t>(j)] = u * std::cos(a) - v * std::sin(a);
      out[static_cast<std::size_t>(j + dim / 2)] = v * std::cos(a) + u * std::sin(a);
    }
    return out;
  };
  for (const std::int32_t r : {0, 3, 4, 67, 68, 83, 84, 300, 610})
    for (std::int32_t h = 0; h < heads; ++h) {
      const auto segment = std::upper_bound(ends.begin(), ends.end(), r) - ends.begin();
      const std::int32_t begin = segment ? ends[static_cast<std::size_t>(segment - 1)] : 0,
                         end = ends[static_cast<std::size_t>(segment)];
      const auto q = rotate(r, h);
      std::vector<double> scores, expected(dim);
      double total = 0, top = -1e300;
      for (std::int32_t t = begin; t < end; ++t) {
        const auto k = rotate(t, heads + h);
        double s = 0;
        for (std::size_t i = 0; i < dim; ++i) s += q[i] * k[i];
        scores.push_back(s / std::sqrt(double{dim}));
        top = std::max(top, scores.back());
      }
      for (double& s : scores) total += s = std::exp(s - top);
      for (std::int32_t t = begin; t < end; ++t)
        for (std::int32_t i = 0; i < dim; ++i)
          expected[static_cast<std::size_t>(i)] +=
              scores[static_cast<std::size_t>(t - begin)] / total *
              qkv[static_cast<std::size_t>((t * 3 * heads + 2 * heads + h) * dim + i)];
      for (std::int32_t i = 0; i < dim; ++i)
        REQUIRE(std::abs(first[static_cast<std::size_t>((r * heads + h) * dim + i)] -
                         expected[static_cast<std::size_t>(i)]) <= kTolerance);
    }
}
