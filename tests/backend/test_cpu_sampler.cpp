#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/backend_fixture.h"
#include "base/noise.h"

using namespace assize;
using namespace assize::backend;
using test::Stored;
using Floats = std::vector<float>;

namespace {

constexpr double kLogprobTolerance = 2e-5;

/// Results of `sample` for rows of given logits: a head [vocab, rows] times unit vectors.
std::vector<SampleResult> choose(Backend& b, const std::vector<Floats>& logits,
                                 const std::vector<SampleRow>& samples) {
  const auto vocab = logits[0].size(), rows = logits.size();
  Floats weight(vocab * rows), hidden(rows * rows);
  for (std::size_t r = 0; r < rows; ++r) {
    hidden[r * rows + r] = 1.0f;
    for (std::size_t v = 0; v < vocab; ++v) weight[v * rows + r] = logits[r][v];
  }
  const Stored table({static_cast<std::int64_t>(vocab), static_cast<std::int64_t>(rows)}, weight);
  const auto head = b.pack_head(table.view);
  const auto x = test::upload(b, hidden, static_cast<std::int32_t>(rows));
  std::vector<SampleResult> results(samples.size());
  b.sample(*head, x, samples, results);
  return results;
}

Floats flat(const std::vector<SampleResult>& results) {
  Floats all;
  for (const auto& result : results) {
    all.insert(all.end(), {static_cast<float>(result.id), result.logprob, result.ok ? 1.0f : 0.0f});
    all.insert(all.end(), result.watch_logprobs.begin(), result.watch_logprobs.end());
    for (const auto& top : result.top_logprobs)
      all.insert(all.end(), {static_cast<float>(top.id), top.logprob});
  }
  return all;
}

std::vector<SampleResult> choose_alone(const std::vector<Floats>& logits,
                                       const std::vector<SampleRow>& samples) {
  auto alone = comm::make_alone();
  return choose(*make_cpu_backend(*alone, {1, ""}), logits, samples);
}

/// The definition, by sorting, in double. -1: too close to a boundary to tell.
std::int32_t reference(Floats logits, const SampleRow& row) {
  for (const auto id : row.seen_ids) {
    float& l = logits[static_cast<std::size_t>(id)];
    l = l < 0 ? l * row.repetition_penalty : l / row.repetition_penalty;
  }
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> weights;
  for (const float l : logits) weights.push_back(std::exp((l - top) / row.temperature));
  auto sorted = weights;
  std::sort(sorted.rbegin(), sorted.rend());
  double keep = 0;
  if (row.top_k > 0 && row.top_k < static_cast<std::int32_t>(sorted.size())) {
    keep = sorted[static_cast<std::size_t>(row.top_k - 1)];
    if (keep - sorted[static_cast<std::size_t>(row.top_k)] < 1e-5 * keep) return -1;
    sorted.resize(static_cast<std::size_t>(row.top_k));
  }
  if (row.top_p < 1) {
    double total = 0, above = 0;
    for (const double w : sorted) total += w;
    for (const double w : sorted) {
      if (above > 0 && std::abs(above - row.top_p * total) < 1e-5 * total) return -1;
      if (above > 0 && !(above < row.top_p * total)) break;
      keep = w;
      above += w;
    }
  }
  keep *= 1 - 1e-6;
  double best = -1e300;
  std::int32_t id = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (weights[i] < keep) continue;
    const double u = base::noise_uniform(row.noise_stream, row.position, static_cast<std::uint32_t>(i));
    const double value = logits[i] / double{row.temperature} - std::log(-std::log(u));
    if (value > best) {
      best = value;
      id = static_cast<std::int32_t>(i);
    }
  }
  return id;
}

}  // namespace

TEST_CASE("sample: greedy takes the lowest id on ties, also between quarters") {
  Floats logits(103, -1.0f);
  logits[90] = logits[40] = logits[41] = 2.5f;
  std::vector<SampleRow> samples(1);
  CHECK(choose_alone({logits}, samples)[0].id == 40);
  logits[3] = 2.5f;
  CHECK(choose_alone({logits}, samples)[0].id == 3);
}

TEST_CASE("sample: log-probabilities are those of the raw logits") {
  test::Values values(41);
  const auto logits = values.uniform(1003, 12.0f);
  const std::vector<std::int32_t> watch{0, 250, 251, 1002}, seen{5, 6, 700};
  SampleRow row;
  row.temperature = 0.5f;
  row.repetition_penalty = 1.3f;
  row.watch_ids = watch;
  row.seen_ids = seen;
  row.top_logprobs = 32;
  const auto result = choose_alone({logits}, {row})[0];
  double total = 0;
  for (const float l : logits) total += std::exp(double{l});
  const auto logprob = [&](std::int32_t id) {
    return logits[static_cast<std::size_t>(id)] - std::log(total);
  };
  REQUIRE(result.ok);
  CHECK(std::abs(result.logprob - logprob(result.id)) <= kLogprobTolerance);
  REQUIRE(result.watch_logprobs.size() == 4);
  for (std::size_t w = 0; w < 4; ++w)
    CHECK(std::abs(result.watch_logprobs[w] - logprob(watch[w])) <= kLogprobTolerance);
  std::vector<std::int32_t> order(1003);
  for (std::int32_t i = 0; i < 1003; ++i) order[static_cast<std::size_t>(i)] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  REQUIRE(result.top_logprobs.size() == 32);
  for (std::size_t k = 0; k < 32; ++k) {
    CHECK(result.top_logprobs[k].id == order[k]);
    CHECK(std::abs(result.top_logprobs[k].logprob - logprob(order[k])) <= kLogprobTolerance);
  }
}

TEST_CASE(
    "sample: the definition by sorting, with temperature, penalty, top-k and top-p; same at every degree") {
  test::Values values(42);
  std::vector<Floats> logits;
  for (int r = 0; r < 40; ++r) logits.push_back(values.uniform(509, r % 2 ? 8.0f : 1.5f));
  const std::vector<std::int32_t> seen{1, 100, 200, 300, 400, 508}, watch{17};
  std::vector<SampleRow> samples;
  for (int i = 0; i < 200; ++i) {
    SampleRow row;
    row.row = i % 40;
    row.temperature = std::vector<float>{0.3f, 0.7f, 1.0f, 2.0f}[static_cast<std::size_t>(i % 4)];
    row.top_p = std::vector<float>{1.0f, 0.95f, 0.5f, 0.0f}[static_cast<std::size_t>(i / 4 % 4)];
    row.top_k = std::vector<std::int32_t>{0, 1, 20, 400, 5000}[static_cast<std::size_t>(i % 5)];
    row.repetition_penalty = i % 3 ? 1.0f : 1.5f;
    if (i % 3 == 0) row.seen_ids = seen;
    row.watch_ids = watch;
    row.top_logprobs = i % 7;
    row.noise_stream = 1000 + static_cast<std::uint64_t>(i / 8);
    row.position = static_cast<std::uint32_t>(i);
    samples.push_back(row);
  }
  std::vector<SampleResult> results;
  const auto all =
      test::same_everywhere<Floats>([&](Backend& b) { return flat(choose(b, logits, samples)); });
  results = choose_alone(logits, samples);
  CHECK(flat(results) == all);
  int compared = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto expected = reference(logits[static_cast<std::size_t>(samples[i].row)], samples[i]);
    if (expected < 0) continue;
    ++compared;
    INFO("row " << i);
    CHECK(results[i].id == expected);
  }
  CHECK(compared >= 190);
}

TEST_CASE("sample: frequencies follow softmax(logits / temperature)") {
  const Floats logits{0.0f, 1.0f, 2.0f, -1.0f, 0.5f, 0.0f, -3.0f, 1.5f};
  const int draws = 20000;
  std::vector<int> counts(8);
  auto alone = comm::make_alone();
  const auto b = make_cpu_backend(*alone, {1, ""});
  std::vector<SampleRow> samples;
  for (int i = 0; i < draws; ++i) {
    SampleRow row;
    row.temperature = 0.8f;
    row.noise_stream = 7;
    row.position = static_cast<std::uint32_t>(i);
    samples.push_back(row);
  }
  for (const auto& result : choose(*b, {logits}, samples)) ++counts[static_cast<std::size_t>(result.id)];
  double total = 0;
  for (const float l : logits) total += std::exp(l / 0.8);
  for (std::size_t i = 0; i < 8; ++i) {
    const double p = std::exp(logits[i] / 0.8) / total;
    CHECK(std::abs(counts[i] - draws * p) <= 4.5 * std::sqrt(draws * p * (1 - p)));
  }
}

TEST_CASE("sample: a NaN or an infinity marks its row alone; a forced id is taken and reported") {
  test::Values values(43);
  std::vector<Floats> logits(4, values.uniform(64));
  std::vector<SampleRow> samples(4);
  for (int r = 0; r < 4; ++r) samples[static_cast<std::size_t>(r)].row = r;
  samples[3].forced_id = 50;
  samples[0].temperature = 1.0f;
  auto clean = choose_alone(logits, samples);
  for (const auto& result : clean) CHECK(result.ok);
  CHECK(clean[3].id == 50);
  // A unit-vector product turns an infinity of one row into NaN for all: give each row its own head instead.
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    Floats broken = logits[0];
    broken[63] = bad;
    const auto result = choose_alone({broken}, {samples[0]})[0];
    CHECK_FALSE(result.ok);
    CHECK(result.id == -1);
  }
  auto alone = comm::make_alone();
  const auto b = make_cpu_backend(*alone, {1, ""});
  const Stored table({64, 1}, logits[0]);
  const auto head = b->pack_head(table.view);
  const auto x = test::upload(*b, {1.0f, std::nanf(""), 1.0f, 1.0f}, 1);
  std::vector<SampleResult> results(4);
  b->sample(*head, x, samples, results);
  CHECK(results[0].ok);
  CHECK(results[0].id == clean[0].id);
  CHECK_FALSE(results[1].ok);
  CHECK(results[2].ok);
  CHECK(results[2].id == clean[2].id);
}

TEST_CASE("logits: gathered over the group in vocabulary order") {
  const auto logits = test::Values(44).uniform(83);
  const auto all = test::same_everywhere<Floats>([&](Backend& b) {
    const Stored table({83, 1}, logits);
    const auto head = b.pack_head(table.view);
    return b.logits(*head, test::upload(b, {2.0f, 1.0f}, 1), 1);
  });
  CHECK(all == logits);
}
