#include "metrics/compare.h"

#include <cmath>

#include "golden_cases.h"
#include "metrics/statistics.h"
#include "support/catch.h"

namespace assize::metrics {
namespace {

JudgedSample sample(std::size_t i, const std::string& human, const std::string& choice) {
  JudgedSample s;
  s.id = std::to_string(i);
  s.group = i % 2 ? "odd" : "even";
  s.human = human;
  s.combined.status = choice.empty() ? verdict::VerdictStatus::unreadable : verdict::VerdictStatus::ok;
  s.combined.choice = choice;
  return s;
}

PairedSamples paired(const std::vector<JudgedSample>& first, const std::vector<JudgedSample>& second) {
  PairedSamples out;
  for (const auto& s : first) out.first.push_back(&s);
  for (const auto& s : second) out.second.push_back(&s);
  return out;
}

AgreementRule rule(verdict::Protocol protocol) {
  AgreementRule out;
  out.protocol = protocol;
  out.bootstrap.resamples = 400;
  return out;
}

}  // namespace

TEST_CASE("the exact sign-flip test of right and wrong is the exact McNemar test", "[compare]") {
  for (int a = 0; a < 8; ++a) {
    for (int b = 0; b < 6; ++b) {
      std::vector<double> differences(3, 0.0);
      differences.insert(differences.end(), static_cast<std::size_t>(a), -1.0);
      differences.insert(differences.end(), static_cast<std::size_t>(b), 1.0);
      CHECK(sign_flip_test(differences, {}).value == Approx(mcnemar(a, b)));
    }
  }
}

TEST_CASE("random permutations come near the exact test and depend on the seed alone", "[compare]") {
  std::vector<double> differences;
  for (std::size_t i = 0; i < 12; ++i) differences.push_back(golden::uniform(5, 90, i) - 0.3);
  const double exact = sign_flip_test(differences, {10000, 0}).value;
  const double random = sign_flip_test(differences, {4000, 7}).value;
  CHECK(random == Approx(exact).margin(0.03));
  CHECK(random == sign_flip_test(differences, {4000, 7}).value);
  CHECK(sign_flip_test(std::vector<double>{0, 0}, {}).value == 1);
  CHECK_FALSE(sign_flip_test({}, {}).defined());
}

TEST_CASE("clusters change signs together", "[compare]") {
  // Three prompts of 20 equal differences each: 2 of the 8 sign patterns are as extreme.
  std::vector<double> differences(60, 1.0);
  std::vector<std::uint32_t> clusters;
  for (std::uint32_t i = 0; i < 60; ++i) clusters.push_back(i / 20);
  CHECK(sign_flip_test(differences, {}, clusters).value == 0.25);
  CHECK(sign_flip_test(differences, {}).value < 0.001);
  std::vector<double> truth, good, bad;
  for (std::size_t i = 0; i < 60; ++i) {
    truth.push_back(static_cast<double>(i));
    good.push_back(static_cast<double>(i * i));
    bad.push_back(golden::uniform(1, 91, i));
  }
  CHECK(swap_test(truth, bad, good, {}, clusters).value == 0.25);
  CHECK(swap_test(truth, bad, good, {}).value < 0.001);
}

TEST_CASE("two judges against people: differences, discordant items, groups", "[compare]") {
  std::vector<JudgedSample> first, second;
  for (std::size_t i = 0; i < 40; ++i) {
    first.push_back(sample(i, "A", i < 20 ? "A" : "B"));
    second.push_back(sample(i, "", i < 32 ? "A" : "tie"));  // labels are taken from the first judge
  }
  first.push_back(sample(40, "A", ""));
  second.push_back(sample(40, "", "A"));
  first.push_back(sample(41, "", "A"));
  second.push_back(sample(41, "", "A"));
  const auto rows = compare_with_people(paired(first, second), rule(verdict::Protocol::pair), {});
  REQUIRE(rows.size() == 3);
  const auto& all = rows[0];
  CHECK(all.group.empty());
  CHECK(all.name == "accuracy");
  CHECK(all.difference.n == 40);
  CHECK(all.first.value == 0.5);
  CHECK(all.second.value == 0.8);
  CHECK(all.difference.value == Approx(0.3));
  std::vector<double> differences(40, 0.0);
  for (std::size_t i = 20; i < 32; ++i) differences[i] = 1;
  const Estimate mean = bootstrap(mean_statistic(differences), 40, rule(verdict::Protocol::pair).bootstrap);
  CHECK(all.difference.low == Approx(mean.low));
  CHECK(all.difference.high == Approx(mean.high));
  CHECK(all.only_first == 0);
  CHECK(all.only_second == 12);
  CHECK(all.mcnemar == Approx(2.0 / 4096));
  CHECK(all.permutation.value == Approx(2.0 / 4096));
  CHECK(rows[1].group == "even");
  CHECK(rows[1].permutation.value == Approx(2.0 / 64));
  CHECK(rows[1].holm == Approx(2 * 2.0 / 64));
}

TEST_CASE("two judges of scores: correlations are compared, and errors", "[compare]") {
  std::vector<JudgedSample> first, second;
  for (std::size_t i = 0; i < 80; ++i) {
    JudgedSample s = sample(0, "", "");
    s.id = std::to_string(i);
    s.group.clear();
    s.combined.status = verdict::VerdictStatus::ok;
    s.human_score = golden::uniform(3, 92, i);
    s.combined.value = *s.human_score + 2 * golden::uniform(3, 93, i);
    first.push_back(s);
    s.combined.value = *s.human_score + 0.2 * golden::uniform(3, 94, i);
    second.push_back(s);
  }
  const auto rows = compare_with_people(paired(first, second), rule(verdict::Protocol::score), {2000, 1});
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].name == "Pearson");
  CHECK(rows[0].second.value > 0.95);
  CHECK(rows[0].difference.low > 0);
  CHECK(rows[0].permutation.value < 0.01);
  CHECK(rows[1].name == "Spearman");
  CHECK(rows[2].lower_is_better);
  CHECK(rows[2].difference.value < -0.5);
  CHECK(rows[0].only_first == -1);

  // A judge and itself: no difference at all.
  const auto same = compare_with_people(paired(first, first), rule(verdict::Protocol::score), {200, 1});
  CHECK(same[0].difference.value == 0);
  CHECK(same[0].permutation.value == 1);
  const auto judges = compare_judges(paired(first, first), rule(verdict::Protocol::score));
  CHECK(judges[0].estimate.value == Approx(1));
}

TEST_CASE("judges agree with each other without any human label", "[compare]") {
  std::vector<JudgedSample> first, second, third;
  for (std::size_t i = 0; i < 30; ++i) {
    first.push_back(sample(i, "", i % 2 ? "A" : "B"));
    second.push_back(sample(i, "", i % 2 ? "A" : i % 3 ? "B" : "tie"));
    third.push_back(sample(i, "", i % 5 ? "" : "A"));
  }
  CHECK(compare_with_people(paired(first, second), rule(verdict::Protocol::pair), {})[0].difference.undefined == "no items");
  const auto metrics = compare_judges(paired(first, second), rule(verdict::Protocol::pair));
  CHECK(metrics[0].name == "same verdict");
  CHECK(metrics[0].estimate.value == Approx(25.0 / 30));
  CHECK(metrics[1].name == "Cohen's kappa");
  const std::vector<std::vector<const JudgedSample*>> judges = {paired(first, second).first, paired(first, second).second,
                                                                paired(third, third).first};
  const auto all = agreement_of_judges(judges, rule(verdict::Protocol::pair));
  REQUIRE(all.size() == 1);
  CHECK(all[0].estimate.value < metrics[0].estimate.value);
  CHECK(all[0].estimate.n == 30);
}

}  // namespace assize::metrics
