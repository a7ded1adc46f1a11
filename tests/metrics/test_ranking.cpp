#include "metrics/ranking.h"

#include <algorithm>
#include <cmath>

#include "golden_cases.h"
#include "metrics/metric_table.h"
#include "support/catch.h"

namespace assize::metrics {
namespace {

const Metric& row(const std::vector<Metric>& metrics, const std::string& name, const std::string& group = "") {
  const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.name == name && m.group == group; });
  REQUIRE(found != metrics.end());
  return *found;
}

bool has_row(const std::vector<Metric>& metrics, const std::string& name) {
  return std::any_of(metrics.begin(), metrics.end(), [&](const auto& m) { return m.name == name; });
}

AgreementRule rule(verdict::Protocol protocol) {
  AgreementRule out;
  out.protocol = protocol;
  out.bootstrap.resamples = 200;
  return out;
}

JudgedSample scored(const std::string& prompt, double human, double judge) {
  JudgedSample s;
  s.id = prompt;
  s.cluster = prompt;
  s.human_score = human;
  s.combined.status = verdict::VerdictStatus::ok;
  s.combined.value = judge;
  return s;
}

JudgedSample game(const std::string& a, const std::string& b, const std::string& human, const std::string& judge) {
  JudgedSample s;
  s.id = a + b;
  s.systems = {a, b};
  s.human = human;
  s.combined.status = verdict::VerdictStatus::ok;
  s.combined.choice = judge;
  return s;
}

}  // namespace

TEST_CASE("the calibrated tie threshold is the best of all thresholds", "[ranking]") {
  for (std::size_t c = 0; c < 252; ++c) {
    INFO("case " << c);
    std::vector<int> truth;
    std::vector<double> margins;
    for (std::size_t i = 0; i < golden::size_of(c); ++i) {
      truth.push_back(static_cast<int>(golden::bits(c, 95, i) % 3) - 1);
      const double noise = golden::uniform(c, 96, i) - 0.5;
      margins.push_back(std::round((c % 2 ? 4 : 1000) * (0.4 * truth.back() + noise)) / 4);
    }
    const auto agreeing = [&](double threshold) {
      std::int64_t count = 0;
      for (std::size_t i = 0; i < truth.size(); ++i) count += concordant(truth[i], margins[i], threshold);
      return count;
    };
    const TieCalibration best = calibrate_ties(truth, margins);
    CHECK(best.agreeing == agreeing(best.threshold));
    std::vector<double> thresholds = {0};
    for (const double m : margins) thresholds.push_back(std::abs(m));
    for (const double t : thresholds) {
      CHECK(agreeing(t) <= best.agreeing);
      if (t < best.threshold) CHECK(agreeing(t) < best.agreeing);
    }
  }
  CHECK(calibrate_ties({}, {}).threshold == 0);
}

TEST_CASE("systems that always win have no strength", "[ranking]") {
  CHECK(bradley_terry({2, {0, 3, 1, 0}}).values[0] == Approx(std::log(3.0) / 2));
  CHECK(bradley_terry({2, {0, 3, 0, 0}}).undefined != nullptr);
  CHECK(bradley_terry({4, {0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0}}).undefined != nullptr);  // two islands
  CHECK(bradley_terry({1, {0}}).undefined != nullptr);
}

TEST_CASE("best of N takes the judge's highest score, equal ones at random", "[ranking]") {
  const std::vector<JudgedSample> samples = {scored("p", 1, 9), scored("p", 0, 3), scored("p", 0, 4),   // right
                                             scored("q", 1, 5), scored("q", 0, 5), scored("q", 0, 1),   // one of two
                                             scored("r", 0, 8), scored("r", 1, 2), scored("alone", 1, 1)};
  const auto metrics = agreement(samples, rule(verdict::Protocol::score));
  CHECK(row(metrics, "best of N").estimate.value == Approx(1.5 / 3));
  CHECK(row(metrics, "best of N").estimate.n == 3);
  CHECK(row(metrics, "best of N, accuracy").estimate.value == Approx(1.5 / 3));
  const std::vector<JudgedSample> graded = {scored("p", 5, 9), scored("p", 3, 1), scored("q", 2, 4), scored("q", 4, 3)};
  CHECK(row(agreement(graded, rule(verdict::Protocol::score)), "best of N").estimate.value == Approx(3.5));
  CHECK(row(agreement(graded, rule(verdict::Protocol::score)), "best of N, accuracy").estimate.value == Approx(0.5));
  CHECK(row(metrics, "best of N, chosen at random").estimate.value == Approx((1.0 / 3 + 1.0 / 3 + 0.5) / 3));
  CHECK(row(metrics, "best of N, chosen by people").estimate.value == 1);
  // Of 7 pairs: p 2 right and its human tie not tied, q 1 of the human pairs, r none.
  CHECK(row(metrics, "pairwise concordance").estimate.value == Approx(3.0 / 7));
  CHECK(row(metrics, "pairwise concordance, ties calibrated").estimate.value == Approx(4.0 / 7));
  CHECK_FALSE(has_row(agreement(std::vector<JudgedSample>{scored("a", 1, 2), scored("b", 2, 1)}, rule(verdict::Protocol::score)), "best of N"));
}

TEST_CASE("win rates and strengths of systems by people and by the judge", "[ranking]") {
  std::vector<JudgedSample> samples;
  for (int i = 0; i < 12; ++i) {
    samples.push_back(game("big", "mid", i % 4 ? "A" : "B", i % 3 ? "A" : "tie"));
    samples.push_back(game("small", "mid", i % 3 ? "B" : "A", i % 4 ? "B" : "A"));
    samples.push_back(game("small", "big", i % 6 ? "B" : "A", "B"));
  }
  const auto metrics = agreement(samples, rule(verdict::Protocol::pair));
  CHECK(row(metrics, "win rate by people", "big").estimate.value == Approx((9 + 10) / 24.0));
  CHECK(row(metrics, "win rate by the judge", "big").estimate.value == Approx((8 + 2 + 12) / 24.0));
  CHECK(row(metrics, "win rate by the judge", "small").estimate.value == Approx(3 / 24.0));
  CHECK(row(metrics, "Bradley-Terry strength by people", "big").estimate.value > row(metrics, "Bradley-Terry strength by people", "mid").estimate.value);
  CHECK(row(metrics, "systems: Spearman of the strengths").estimate.value == 1);
  CHECK_FALSE(has_row(agreement(std::vector<JudgedSample>{game("", "", "A", "A")}, rule(verdict::Protocol::pair)), "win rate by people"));
}

TEST_CASE("scores that differ by little are calibrated ties", "[ranking]") {
  std::vector<JudgedSample> samples;
  const double margins[] = {3, 0.5, -0.5, -2, 0.5};
  const char* humans[] = {"A", "tie", "tie", "B", "A"};
  for (int i = 0; i < 5; ++i) {
    JudgedSample s = game("", "", humans[i], margins[i] > 0 ? "A" : "B");
    s.combined.scores = {5 + margins[i], 5};
    samples.push_back(s);
  }
  const auto metrics = agreement(samples, rule(verdict::Protocol::pair));
  CHECK(row(metrics, "accuracy").estimate.value == Approx(0.6));
  CHECK(row(metrics, "accuracy, ties calibrated").estimate.value == Approx(0.8));
  CHECK_THAT(row(metrics, "accuracy, ties calibrated").rule, Catch::Matchers::Contains("0.5"));
}

}  // namespace assize::metrics
