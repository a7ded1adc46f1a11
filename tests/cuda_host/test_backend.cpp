#include "backend/cuda/backend.h"

#include <cmath>
#include <stdexcept>

#include "backend/backend_fixture.h"
#include "base/noise.h"
#include "model/tiny_judge.h"
#include "support/catch.h"

using namespace assize;
using namespace assize::backend;
using test::Stored;

namespace {

/// Whole numbers of at most eight bits: exact in bf16, and so are their products and sums in f32.
std::vector<float> whole_numbers(std::size_t count, int seed, int largest) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = base::noise_bits(static_cast<std::uint64_t>(seed), 0, static_cast<std::uint32_t>(i));
    values[i] = static_cast<float>(static_cast<int>(bits % static_cast<std::uint64_t>(2 * largest + 1)) - largest);
  }
  return values;
}

/// f on every rank of a group of `ranks` GPUs; all results must be equal.
template <class Result>
Result on_gpus(int ranks, const std::function<Result(Backend&)>& f) {
  std::vector<Result> results(static_cast<std::size_t>(ranks));
  test::on_ranks(ranks, [&](comm::Comm& group) {
    const auto backend = cuda::make_cuda_backend(group, group.rank());
    results[static_cast<std::size_t>(group.rank())] = f(*backend);
  });
  for (const auto& result : results) REQUIRE(result == results[0]);
  return results[0];
}

struct Chosen {
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;
  bool operator==(const Chosen&) const = default;
};

}  // namespace

TEST_CASE("products, biases and sums over the ranks are those of whole numbers") {
  const std::int64_t in = 64, out = 24, rows = 5;
  const Stored weight({out, in}, whole_numbers(out * in, 1, 7)), bias({out}, whole_numbers(out, 2, 7));
  const auto x = whole_numbers(static_cast<std::size_t>(rows * in), 3, 3);
  std::vector<float> expected;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < out; ++o) {
      float sum = reinterpret_cast<const float*>(bias.memory.data())[o];
      for (std::int64_t k = 0; k < in; ++k) {
        sum += reinterpret_cast<const float*>(weight.memory.data())[o * in + k] * x[static_cast<std::size_t>(r * in + k)];
      }
      expected.push_back(tensor::bf16_to_f32(tensor::f32_to_bf16(sum)));
    }
  }
  for (const int ranks : {1, 2, 4}) {
    if (ranks > cuda::count_gpus()) continue;  // on a machine with fewer
    INFO(ranks << " ranks");
    const auto whole = on_gpus<std::vector<float>>(ranks, [&](Backend& b) {
      const LinearPart part{&weight.view, &bias.view, 0, out};
      const auto linear = b.pack_columns({&part, 1});
      const auto y = b.allocate(rows, static_cast<std::int32_t>(out));
      b.linear(*linear, test::upload(b, x, static_cast<std::int32_t>(in)), static_cast<std::int32_t>(rows), y);
      return test::download(b, y, static_cast<std::size_t>(rows));
    });
    CHECK(whole == expected);
    const auto split = on_gpus<std::vector<float>>(ranks, [&](Backend& b) {
      const auto linear = b.pack_rows(weight.view, &bias.view);
      // This rank's part of each row.
      const std::int64_t part = in / ranks, first = part * b.group().rank();
      std::vector<float> own;
      for (std::int64_t r = 0; r < rows; ++r) own.insert(own.end(), x.begin() + r * in + first, x.begin() + r * in + first + part);
      const auto y = b.allocate(rows, static_cast<std::int32_t>(out));
      b.linear(*linear, test::upload(b, own, static_cast<std::int32_t>(part)), static_cast<std::int32_t>(rows), y);
      return test::download(b, y, static_cast<std::size_t>(rows));
    });
    CHECK(split == expected);
  }
}

TEST_CASE("a row's product has the same bits alone and in any company") {
  // Shapes of small and of large judges; the last one is narrow, and its sums over k are cut in four.
  const auto alone = comm::make_alone();
  const auto b = cuda::make_cuda_backend(*alone, 0);
  const auto rounded = [](float x) { return double{tensor::bf16_to_f32(tensor::f32_to_bf16(x))}; };
  const std::pair<std::int32_t, std::int32_t> shapes[] = {{64, 24}, {256, 576}, {896, 1152}, {4864, 64}};
  for (const auto& [in, out] : shapes) {
    INFO(in << " to " << out);
    std::vector<float> w(static_cast<std::size_t>(in) * static_cast<std::size_t>(out));
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i)));
    const Stored weight({out, in}, w, tensor::DType::bf16);
    const LinearPart part{&weight.view, nullptr, 0, out};
    const auto linear = b->pack_columns({&part, 1});
    constexpr std::int32_t most = 300;
    std::vector<float> rows(static_cast<std::size_t>(most) * static_cast<std::size_t>(in));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(std::cos(0.11 * static_cast<double>(i)));
    const auto x = test::upload(*b, rows, in), y = b->allocate(most, out);
    b->linear(*linear, x, most, y);
    const auto together = test::download(*b, y, most);
    for (std::int32_t o = 0; o < out; ++o) {
      double sum = 0, size = 0;
      for (std::int32_t k = 0; k < in; ++k) {
        const double term = rounded(w[static_cast<std::size_t>(o * in + k)]) * rounded(rows[static_cast<std::size_t>(k)]);
        sum += term;
        size += std::abs(term);
      }
      CHECK(std::abs(together[static_cast<std::size_t>(o)] - sum) <= std::abs(sum) / 256 + 1e-5 * size);
    }
    for (const std::int32_t count : {1, 2, 17, 64, 129}) {
      INFO(count << " rows");
      b->linear(*linear, x, count, y);
      const auto few = test::download(*b, y, static_cast<std::size_t>(count));
      CHECK(std::equal(few.begin(), few.end(), together.begin()));
    }
  }
}

TEST_CASE("rows are embedded, gathered, scattered and added as they are") {
  const Stored table({3, 64}, whole_numbers(3 * 64, 4, 100));
  const auto values = whole_numbers(3 * 64, 4, 100);
  const auto alone = comm::make_alone();
  const auto b = cuda::make_cuda_backend(*alone, 0);
  const auto embedding = b->make_embedding(table.view);
  const auto x = b->allocate(4, 64), y = b->allocate(4, 64);
  const std::vector<std::int32_t> ids = {2, -1, 0, 1};
  b->embed(*embedding, ids, x);
  b->scatter_rows(x, std::vector<std::int32_t>{3, 2, 1, 0}, y);
  b->add(y, x, 4);
  const auto seen = test::download(*b, y, 4);
  const auto row = [&](std::int32_t id, std::size_t i) { return id < 0 ? 0.0f : values[static_cast<std::size_t>(id) * 64 + i]; };
  for (std::size_t r = 0; r < 4; ++r) {
    for (const std::size_t i : {0u, 1u, 63u}) CHECK(seen[r * 64 + i] == row(ids[3 - r], i) + row(ids[r], i));
  }
}

TEST_CASE("large arrays survive the way to the device and back in pieces") {
  const auto alone = comm::make_alone();
  const auto b = cuda::make_cuda_backend(*alone, 0);
  const auto values = whole_numbers(2'500'000, 5, 100);
  const auto x = test::upload(*b, values, 4);
  CHECK(test::download(*b, x, values.size() / 4) == values);
}

TEST_CASE("the device samples what the CPU samples, on any number of ranks") {
  constexpr std::int32_t vocab = 259, hidden = 64;
  std::size_t rows = 66;  // more than are sampled at a time
  // Logits of whole numbers are the same bits on both; the noise then decides alike, but for exact ties of f64.
  const Stored head({vocab, hidden}, whole_numbers(static_cast<std::size_t>(vocab) * hidden, 6, 1));
  const auto x = whole_numbers(rows * hidden, 7, 1);
  const std::vector<std::int32_t> watched = {0, 100, 258}, seen = {1, 2, 3, 200};
  const auto choose = [&](Backend& b) {
    const auto packed = b.pack_head(head.view);
    const auto device = test::upload(b, x, hidden);
    std::vector<SampleRow> samples(rows);
    for (std::size_t r = 0; r < rows; ++r) {
      SampleRow& sample = samples[r];
      sample.row = static_cast<std::int32_t>(r);
      sample.noise_stream = 1000 + r;
      sample.position = static_cast<std::uint32_t>(r);
      sample.temperature = r % 5 == 0 ? 0.0f : 0.5f + 0.5f * static_cast<float>(r % 3);
      sample.top_p = r % 2 ? 0.9f : 1.0f;
      sample.top_k = r % 7 == 3 ? 20 : 0;
      sample.repetition_penalty = r % 4 == 1 ? 1.25f : 1.0f;
      sample.seen_ids = seen;
      sample.watch_ids = watched;
      sample.top_logprobs = static_cast<std::int32_t>(r % 4);
      sample.forced_id = r == 6 ? 77 : -1;
    }
    std::vector<SampleResult> results(rows);
    b.sample(*packed, device, samples, results);
    Chosen chosen;
    for (const auto& result : results) {
      if (!result.ok) throw std::runtime_error("logits that are not finite");
      chosen.ids.push_back(result.id);
      chosen.logprobs.push_back(result.logprob);
      chosen.logprobs.insert(chosen.logprobs.end(), result.watch_logprobs.begin(), result.watch_logprobs.end());
      for (const auto& top : result.top_logprobs) {
        chosen.ids.push_back(top.id);
        chosen.logprobs.push_back(top.logprob);
      }
    }
    return chosen;
  };
  const auto alone = comm::make_alone();
  Chosen first;
  for (const int ranks : {1, 2, 4}) {
    if (ranks > cuda::count_gpus()) continue;  // on a machine with fewer
    INFO(ranks << " ranks");
    if (ranks > 1) rows = 8;
    const Chosen cpu = choose(*make_cpu_backend(*alone, {.threads = 1}));
    const Chosen gpu = on_gpus<Chosen>(ranks, choose);
    CHECK(gpu.ids == cpu.ids);
    REQUIRE(gpu.logprobs.size() == cpu.logprobs.size());
    for (std::size_t i = 0; i < gpu.logprobs.size(); ++i) CHECK(std::abs(gpu.logprobs[i] - cpu.logprobs[i]) < 1e-4f);
    if (ranks == 2) first = gpu;
    if (ranks == 4) CHECK(gpu == first);
  }
}
