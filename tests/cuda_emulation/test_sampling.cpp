#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/noise.h"
#include "kernels/cuda/sampling.h"
#include "support/values.h"
#include "tests/cuda_emulation/device_array.h"

using namespace assize;
using namespace assize::kernels::cuda;
using assize::test::DeviceArray;

namespace {

/// Sums in units of 2^-40 over f32 exponentials.
constexpr double kLogprob = 2e-6;

struct Row {
  std::vector<float> logits;
  SampleRequest request;
  std::vector<std::int32_t> seen;
};

/// The stages with `ranks` shards of the vocabulary cut at quarters, one after another on one device.
std::vector<SampleOutcome> sample(const std::vector<Row>& rows, int ranks) {
  const auto count = static_cast<std::int32_t>(rows.size());
  const auto vocab = static_cast<std::int32_t>(rows[0].logits.size());
  std::vector<SampleRequest> requests;
  std::vector<std::int32_t> seen;
  for (const Row& row : rows) {
    requests.push_back(row.request);
    requests.back().seen_begin = static_cast<std::int32_t>(seen.size());
    requests.back().seen_count = static_cast<std::int32_t>(row.seen.size());
    seen.insert(seen.end(), row.seen.begin(), row.seen.end());
  }
  const auto all = static_cast<std::size_t>(ranks) * rows.size();
  DeviceArray<SampleRequest> request_array(requests);
  DeviceArray<std::int32_t> seen_array(seen);
  DeviceArray<SampleCut> cuts(rows.size());
  DeviceArray<SampleStatistics> statistics(all);
  DeviceArray<SampleHistogram> histograms(all);
  DeviceArray<SampleChoice> choices(all);
  DeviceArray<SampleOutcome> outcomes(rows.size());
  std::vector<std::unique_ptr<DeviceArray<float>>> logits;
  std::vector<SampleArrays> shards;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::int32_t begin = vocab * rank / ranks, end = vocab * (rank + 1) / ranks,
                       stride = end - begin + 3;
    std::vector<float> shard(static_cast<std::size_t>(count * stride), NAN);
    for (std::int32_t r = 0; r < count; ++r)
      std::copy(rows[static_cast<std::size_t>(r)].logits.begin() + begin,
                rows[static_cast<std::size_t>(r)].logits.begin() + end, shard.begin() + r * stride);
    logits.push_back(std::make_unique<DeviceArray<float>>(shard));
    shards.push_back({request_array.data(), seen_array.data(), logits.back()->data(), stride, begin,
                      end - begin, count, ranks, cuts.data()});
  }
  for (int rank = 0; rank < ranks; ++rank)
    REQUIRE(sample_statistics(shards[static_cast<std::size_t>(rank)], statistics.data() + rank * count,
                              nullptr) == 0);
  for (int round = 0; round < 2 * kHistogramRounds; ++round) {
    for (int rank = 0; rank < ranks; ++rank)
      REQUIRE(sample_histogram(shards[static_cast<std::size_t>(rank)], round, statistics.data(),
                               histograms.data() + rank * count, nullptr) == 0);
    REQUIRE(sample_cut(shards[0], round, statistics.data(), histograms.data(), nullptr) == 0);
  }
  for (int rank = 0; rank < ranks; ++rank)
    REQUIRE(sample_choose(shards[static_cast<std::size_t>(rank)], statistics.data(),
                          choices.data() + rank * count, nullptr) == 0);
  REQUIRE(sample_finish(shards[0], statistics.data(), choices.data(), outcomes.data(), nullptr) == 0);
  return outcomes.values();
}

/// What the row must give, from the definitions, in double precision.
void check_row(const Row& row, const SampleOutcome& outcome) {
  const SampleRequest& request = row.request;
  const std::size_t vocab = row.logits.size();
  const bool finite =
      std::all_of(row.logits.begin(), row.logits.end(), [](float x) { return std::isfinite(x); });
  REQUIRE(outcome.ok == (finite ? 1 : 0));
  if (!finite) {
    CHECK(outcome.id == -1);
    return;
  }
  std::vector<double> logits(row.logits.begin(), row.logits.end()), shaped = logits;
  for (const std::int32_t id : row.seen) {
    double& logit = shaped[static_cast<std::size_t>(id)];
    logit = logit < 0 ? logit * request.repetition_penalty : logit / request.repetition_penalty;
  }
  const double maximum = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit - maximum);
  const auto logprob = [&](std::int32_t id) {
    return logits[static_cast<std::size_t>(id)] - maximum - std::log(sum);
  };

  std::vector<std::int32_t> order(vocab);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return shaped[static_cast<std::size_t>(a)] > shaped[static_cast<std::size_t>(b)];
  });
  std::int32_t expected = order[0];
  if (request.forced_id >= 0) {
    expected = request.forced_id;
  } else if (request.temperature > 0) {
    const auto weight = [&](std::int32_t id) {
      return std::exp((shaped[static_cast<std::size_t>(id)] - shaped[static_cast<std::size_t>(order[0])]) /
                      request.temperature);
    };
    double least = 0;
    if (request.top_k > 0 && request.top_k < static_cast<std::int32_t>(vocab))
      least = weight(order[static_cast<std::size_t>(request.top_k - 1)]);
    if (request.top_p < 1) {
      double kept = 0, above = 0;
      for (const std::int32_t id : order)
        if (weight(id) >= least) kept += weight(id);
      for (std::size_t i = 0; i < vocab; ++i) {
        if (i > 0 && weight(order[i]) < weight(order[i - 1]) && !(above < request.top_p * kept)) {
          least = std::max(least, weight(order[i - 1]));
          break;
        }
        above += weight(order[i]);
      }
    }
    double best = -INFINITY;
    for (std::int32_t id = 0; id < static_cast<std::int32_t>(vocab); ++id) {
      if (weight(id) < least * (1 - 1e-9)) continue;
      const double u =
          base::noise_uniform(request.noise_stream, request.position, static_cast<std::uint32_t>(id));
      const double value =
          shaped[static_cast<std::size_t>(id)] / request.temperature - std::log(-std::log(u));
      if (value > best) {
        best = value;
        expected = id;
      }
    }
  }
  CHECK(outcome.id == expected);
  CHECK(std::abs(outcome.logprob - logprob(expected)) <= kLogprob);
  for (int w = 0; w < request.watch_count; ++w)
    CHECK(std::abs(outcome.watch_logprobs[w] - logprob(request.watch_ids[w])) <= kLogprob);

  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  REQUIRE(outcome.top_count == std::min<std::int32_t>(request.top_count, static_cast<std::int32_t>(vocab)));
  for (int k = 0; k < outcome.top_count; ++k) {
    CHECK(outcome.top_ids[k] == order[static_cast<std::size_t>(k)]);
    CHECK(std::abs(outcome.top_logprobs[k] - logprob(outcome.top_ids[k])) <= kLogprob);
  }
}

/// Logits on a grid, so that there are ties, in [-scale, scale].
std::vector<float> grid_logits(test::Values& values, int vocab, float scale) {
  std::vector<float> logits;
  for (int i = 0; i < vocab; ++i) logits.push_back(std::round(values.uniform() * 64) / 64 * scale);
  return logits;
}

std::vector<Row> make_rows(int vocab) {
  test::Values values(static_cast<std::uint64_t>(vocab));
  std::vector<Row> rows;
  for (int i = 0; i < 14; ++i) {
    Row row;
    row.logits = grid_logits(values, vocab, i % 2 ? 12.0f : 3.0f);
    SampleRequest& request = row.request;
    request.noise_stream = values.bits();
    request.position = static_cast<std::uint32_t>(i);
    request.temperature = i % 4 == 0 ? 0.0f : i % 4 == 1 ? 0.7f : 1.5f;
    request.top_k = i % 3 == 1 ? 1 + values.below(vocab + 2) : 0;
    request.top_p = i % 5 > 2 ? 0.8f : i % 5 == 2 ? 1e-6f : 1.0f;
    if (i % 4 == 3 || i == 12) {
      request.repetition_penalty = 1.3f;
      for (int id = i % 2; id < vocab; id += 2) row.seen.push_back(id);
    }
    if (i == 5) request.forced_id = vocab - 1;
    if (i == 6) row.logits[static_cast<std::size_t>(vocab / 2)] = NAN;
    if (i == 7) row.logits[static_cast<std::size_t>(vocab - 1)] = -INFINITY;
    request.top_count = i % 3 == 0 ? std::min(vocab, 5) : i == 13 ? kMaxTop : 0;
    request.watch_count = i % 2 ? 2 : i == 8 ? kMaxWatch : 0;
    for (int w = 0; w < request.watch_count; ++w) request.watch_ids[w] = values.below(vocab);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

TEST_CASE("sampling: every outcome follows from the definitions, on one and several ranks") {
  for (const int vocab : {4, 37, 512, 1031}) {
    const auto rows = make_rows(vocab);
    test::for_schedules(true, [&] {
      for (const int ranks : {1, 2, 4}) {
        INFO("vocabulary " << vocab << ", ranks " << ranks);
        const auto outcomes = sample(rows, ranks);
        for (std::size_t r = 0; r < rows.size(); ++r) {
          INFO("row " << r);
          check_row(rows[r], outcomes[r]);
        }
      }
    });
  }
}

TEST_CASE("sampling: top-k keeps exactly k of different weights, and top-p looks at no others") {
  // The weights fall slowly, so that one token too many would soon be drawn.
  for (const float top_p : {1.0f, 0.9f, 0.7f}) {
    std::vector<Row> rows;
    for (int i = 0; i < 60; ++i) {
      Row row;
      for (int id = 0; id < 24; ++id) row.logits.push_back(-0.3f * static_cast<float>((id * 7) % 24));
      row.request.temperature = 1;
      row.request.top_k = 3;
      row.request.top_p = top_p;
      row.request.noise_stream = 5;
      row.request.position = static_cast<std::uint32_t>(i);
      rows.push_back(row);
    }
    for (const int ranks : {1, 2}) {
      const auto outcomes = sample(rows, ranks);
      for (std::size_t r = 0; r < rows.size(); ++r) check_row(rows[r], outcomes[r]);
    }
  }
}

TEST_CASE("sampling: many small weights in one bin outweigh a large one") {
  // Two thirds of the mass are 1,400 weights of 2^-10 to 2^-9, below 2^32 units each and far above it together.
  std::vector<Row> rows;
  for (int i = 0; i < 12; ++i) {
    Row row;
    row.logits.assign(1401, 0.0f);
    for (std::size_t id = 1; id < row.logits.size(); ++id) {
      row.logits[id] = std::log(0x1p-10f * (1.1f + 0.8f * static_cast<float>(id * 37 % 101) / 101.0f));
    }
    row.request.temperature = 1;
    row.request.top_p = 0.9f;
    row.request.noise_stream = 5;
    row.request.position = static_cast<std::uint32_t>(i);
    rows.push_back(row);
  }
  const auto outcomes = sample(rows, 1);
  for (std::size_t r = 0; r < rows.size(); ++r) check_row(rows[r], outcomes[r]);
  CHECK(std::count_if(outcomes.begin(), outcomes.end(), [](const SampleOutcome& o) { return o.id > 0; }) >= 5);
}

TEST_CASE("sampling: a row alone has the bits it has in a batch") {
  const auto rows = make_rows(301);
  const auto together = sample(rows, 2);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const SampleOutcome alone = sample({rows[r]}, 2)[0];
    CHECK(alone.id == together[r].id);
    CHECK(std::memcmp(&alone.logprob, &together[r].logprob, sizeof(float)) == 0);
    CHECK(std::memcmp(alone.watch_logprobs, together[r].watch_logprobs, sizeof alone.watch_logprobs) == 0);
  }
}

TEST_CASE("sampling: frequencies follow the softmax at temperature 1") {
  const int draws = 400;
  std::vector<Row> rows;
  for (int i = 0; i < draws; ++i) {
    Row row;
    row.logits = {0.0f, std::log(3.0f), -30.0f, std::log(4.0f)};
    row.request.temperature = 1;
    row.request.noise_stream = 77;
    row.request.position = static_cast<std::uint32_t>(i);
    rows.push_back(row);
  }
  int counts[4] = {};
  for (const SampleOutcome& outcome : sample(rows, 1)) ++counts[outcome.id];
  // Probabilities 1/8, 3/8, 0, 4/8; four standard deviations.
  CHECK(std::abs(counts[0] - draws / 8.0) < 4 * std::sqrt(draws * 7 / 64.0));
  CHECK(std::abs(counts[1] - draws * 3 / 8.0) < 4 * std::sqrt(draws * 15 / 64.0));
  CHECK(counts[2] == 0);
}
