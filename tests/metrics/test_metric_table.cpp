#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "metrics/metric_table.h"
#include "metrics/statistics.h"
#include "support/catch.h"

namespace assize::metrics {
namespace {

using verdict::Protocol;

verdict::Vote vote(std::uint32_t number, std::vector<std::uint16_t> presentation, const std::string& choice,
                   double value = 0) {
  verdict::Vote out{std::move(presentation), number, {}};
  if (choice == "?") {
    out.verdict = verdict::no_verdict(verdict::VerdictStatus::unreadable, "nothing");
    return out;
  }
  out.verdict.status = verdict::VerdictStatus::ok;
  out.verdict.choice = choice;
  out.verdict.value = value;
  return out;
}

JudgedSample sample(const std::string& id, const std::string& group, const std::string& human,
                    const std::vector<verdict::Vote>& votes, Protocol protocol = Protocol::pair) {
  JudgedSample out;
  out.id = id;
  out.group = group;
  out.human = human;
  out.votes = verdict::VoteList(votes);
  out.combined = verdict::combine(votes, protocol, {});
  return out;
}

AgreementRule rule_for(Protocol protocol) {
  AgreementRule rule;
  rule.suite = "s";
  rule.protocol = protocol;
  rule.bootstrap.resamples = 100;
  return rule;
}

Estimate find(const std::vector<Metric>& metrics, const std::string& name, const std::string& group = "") {
  for (const auto& metric : metrics) {
    if (metric.name == name && metric.group == group) return metric.estimate;
  }
  FAIL("no metric '" << name << "' of group '" << group << "'");
  return {};
}

const std::vector<std::uint16_t> kForward = {0, 1}, kReverse = {1, 0};

// Ten pairs in two groups: worked out by hand.
std::vector<JudgedSample> ten_pairs() {
  const char* human[] = {"A", "A", "B", "B", "tie", "A", "B", "A", "B", "tie"};
  const char* judge[] = {"A", "B", "B", "tie", "tie", "A", "B", "A", "A", "A"};
  std::vector<JudgedSample> out;
  for (int i = 0; i < 10; ++i) {
    out.push_back(sample("p" + std::to_string(i), i < 4 ? "g1" : "g2", human[i],
                         {vote(0, kForward, judge[i]), vote(0, kReverse, judge[i])}));
  }
  return out;
}

}  // namespace

TEST_CASE("pair metrics of ten samples, ties counted in four ways", "[table]") {
  const auto metrics = agreement(ten_pairs(), rule_for(Protocol::pair));
  CHECK(find(metrics, "accuracy").value == Approx(0.6));
  CHECK(find(metrics, "accuracy, human ties left out").value == Approx(5.0 / 8));
  CHECK(find(metrics, "accuracy, human ties left out").n == 8);
  CHECK(find(metrics, "accuracy, predicted ties left out").value == Approx(5.0 / 8));
  CHECK(find(metrics, "accuracy, all ties left out").value == Approx(5.0 / 7));
  CHECK(find(metrics, "accuracy", "g1").value == Approx(0.5));
  CHECK(find(metrics, "accuracy", "g2").value == Approx(4.0 / 6));
  CHECK(find(metrics, "accuracy, mean of groups").value == Approx((0.5 + 4.0 / 6) / 2));
  CHECK(find(metrics, "human tie rate").value == Approx(0.2));
  CHECK(find(metrics, "predicted tie rate").value == Approx(0.2));
  // Margins: people A 4, B 4, tie 2; judge A 5, B 3, tie 2: expected (20 + 12 + 4) / 100.
  CHECK(find(metrics, "Cohen's kappa").value == Approx((0.6 - 0.36) / 0.64));
  CHECK(find(metrics, "order consistency").value == 1);
  CHECK(find(metrics, "position bias").value == 0);
  CHECK(find(metrics, "samples without a verdict").value == 0);
}

TEST_CASE("samples without a verdict leave agreement and are counted", "[table]") {
  auto samples = ten_pairs();
  samples[0] = sample("p0", "g1", "A", {vote(0, kForward, "?"), vote(0, kReverse, "?")});
  samples[1] = sample("p1", "g1", "A", {vote(0, kForward, "B"), vote(0, kReverse, "?")});
  const auto metrics = agreement(samples, rule_for(Protocol::pair));
  CHECK(find(metrics, "accuracy").n == 9);
  CHECK(find(metrics, "accuracy").value == Approx(5.0 / 9));
  CHECK(find(metrics, "samples without a verdict").value == Approx(0.1));
  CHECK(find(metrics, "calls unreadable").value == Approx(3.0 / 20));
  CHECK(find(metrics, "order consistency").n == 8);
}

TEST_CASE("position bias and self-consistency", "[table]") {
  std::vector<JudgedSample> samples = {
      sample(
          "a", "", "A",
          {vote(0, kForward, "A"), vote(0, kReverse, "B"), vote(1, kForward, "A"), vote(1, kReverse, "B")}),
      sample(
          "b", "", "A",
          {vote(0, kForward, "B"), vote(0, kReverse, "A"), vote(1, kForward, "B"), vote(1, kReverse, "A")}),
      sample(
          "c", "", "B",
          {vote(0, kForward, "A"), vote(0, kReverse, "B"), vote(1, kForward, "A"), vote(1, kReverse, "B")}),
      sample(
          "d", "", "B",
          {vote(0, kForward, "B"), vote(0, kReverse, "B"), vote(1, kForward, "A"), vote(1, kReverse, "B")}),
  };
  const auto metrics = agreement(samples, rule_for(Protocol::pair));
  CHECK(find(metrics, "position bias").value ==
        Approx(0.25));  // first, second, first, then a tie in one order
  CHECK(find(metrics, "order consistency").value == 0);
  CHECK(find(metrics, "self-consistency").value == Approx((1 + 1 + 1 + 0.5) / 4));
}

TEST_CASE("score metrics over samples and systems", "[table]") {
  std::vector<JudgedSample> samples;
  const double human[] = {1, 2, 2, 3, 4, 5}, judge[] = {2, 2, 3, 3, 5, 4};
  for (int i = 0; i < 6; ++i) {
    auto s = sample(std::to_string(i), i % 2 ? "odd" : "even", "",
                    {vote(0, {0}, "", judge[i]), vote(1, {0}, "", judge[i] + 1)}, Protocol::score);
    s.human_score = human[i];
    samples.push_back(s);
  }
  const auto metrics = agreement(samples, rule_for(Protocol::score));
  // By hand: sums of squares 59 - 17^2/6 and 67 - 19^2/6, of products 61 - 17 x 19/6.
  CHECK(find(metrics, "Pearson").value == Approx(7.1666667 / std::sqrt(10.8333333 * 6.8333333)));
  CHECK(find(metrics, "mean squared error").value ==
        Approx((1.5 * 1.5 + 0.5 * 0.5 + 1.5 * 1.5 + 0.5 * 0.5 + 1.5 * 1.5 + 0.5 * 0.5) / 6));
  CHECK(find(metrics, "mean error").value == Approx((1.5 + 0.5 + 1.5 + 0.5 + 1.5 - 0.5) / 6));
  CHECK(find(metrics, "spread of the votes").value == Approx(std::sqrt(0.5)));
  CHECK(find(metrics, "system-level Pearson").value == Approx(-1));  // even 7/3 : 23/6, odd 10/3 : 3.5
  CHECK(find(metrics, "Pearson", "even").n == 3);
  samples[3].human_score = NAN;
  CHECK_THROWS_AS(agreement(samples, rule_for(Protocol::score)), base::Error);
}

TEST_CASE("rank metrics", "[table]") {
  const std::vector<std::uint16_t> four = {0, 1, 2, 3};
  const std::vector<JudgedSample> samples = {
      sample("a", "", "ABCD", {vote(0, four, "ABCD")}, Protocol::rank),
      sample("b", "", "ABCD", {vote(0, four, "ABDC")}, Protocol::rank),
      sample("c", "", "DCBA", {vote(0, four, "ABCD")}, Protocol::rank)};
  const auto metrics = agreement(samples, rule_for(Protocol::rank));
  CHECK(find(metrics, "normalised Levenshtein").value == Approx((0 + 0.5 + 1.0) / 3));
  CHECK(find(metrics, "exact ranking").value == Approx(1.0 / 3));
  CHECK(find(metrics, "best candidate found").value == Approx(2.0 / 3));
  CHECK(find(metrics, "mean Kendall tau-b").value == Approx((1 + 4.0 / 6 - 1) / 3));
}

TEST_CASE("annotators give the ceiling", "[table]") {
  auto samples = ten_pairs();
  for (auto& s : samples) s.annotators = {"A", "A", "A"};
  samples[0].annotators = {"A", "B", "A"};
  samples[1].annotators = {"A", "B", ""};  // each annotator against one other
  const auto metrics = agreement(samples, rule_for(Protocol::pair));
  // p0: annotators 1 and 3 face a tie of the others and are left out, annotator 2 disagrees; p1: both
  // disagree.
  CHECK(find(metrics, "annotators: accuracy against the others").value == Approx(8.0 / 10));
  CHECK(find(metrics, "annotators: Krippendorff's alpha").defined());
}

TEST_CASE("annotators' scores are held against the others' mean", "[table]") {
  std::vector<JudgedSample> samples;
  const std::vector<std::vector<std::string>> ratings = {{"1", "2", "3"}, {"4", "4"}, {"2", "", "5"}, {"3"}};
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    auto s = sample(std::to_string(i), "", "", {vote(0, {0}, "", 3)}, Protocol::score);
    s.human_score = 3;
    s.annotators = ratings[i];
    samples.push_back(s);
  }
  const auto metrics = agreement(samples, rule_for(Protocol::score));
  // One and the mean of the others: 1 2.5, 2 2, 3 1.5 | 4 4, 4 4 | 2 5, 5 2; the last sample has one only.
  const std::vector<double> one = {1, 2, 3, 4, 4, 2, 5}, others = {2.5, 2, 1.5, 4, 4, 5, 2};
  CHECK(find(metrics, "annotators: Pearson against the others").value == Approx(pearson(one, others).value));
  CHECK(find(metrics, "annotators: Spearman against the others").value == Approx(spearman(one, others).value));
  CHECK(find(metrics, "annotators: Pearson against the others").n == 3);
  RatingTable grades{5, {1, 1, 1, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 1}};
  CHECK(find(metrics, "annotators: Krippendorff's alpha, ordinal").value ==
        Approx(krippendorff_alpha(grades, Level::ordinal).value));
  for (int i = 0; i < 21; ++i) samples[0].annotators.push_back(std::to_string(0.1 * i));  // too many for grades
  for (const auto& row : agreement(samples, rule_for(Protocol::score))) CHECK(row.name != "annotators: Krippendorff's alpha, ordinal");
}

TEST_CASE("annotators' labels: Fleiss' kappa where all samples have as many, rankings by their distance", "[table]") {
  auto samples = ten_pairs();
  for (auto& s : samples) s.annotators = {"A", "B"};
  CHECK(find(agreement(samples, rule_for(Protocol::pair)), "annotators: Fleiss' kappa").value == Approx(-1));
  samples[0].annotators = {"A", "B", "B"};
  CHECK(find(agreement(samples, rule_for(Protocol::pair)), "annotators: Fleiss' kappa").undefined ==
        "the items have different numbers of ratings");
  const std::vector<std::uint16_t> three = {0, 1, 2};
  auto ranked = sample("a", "", "ABC", {vote(0, three, "ABC")}, Protocol::rank);
  ranked.annotators = {"ABC", "ACB", "CBA"};
  // Distances 2/3, 2/3 and 2/3.
  CHECK(find(agreement(std::vector{ranked}, rule_for(Protocol::rank)), "annotators: normalised Levenshtein").value ==
        Approx(2.0 / 3));
}

TEST_CASE("the vote curve counts the first votes only", "[table]") {
  std::vector<JudgedSample> samples;
  for (int i = 0; i < 4; ++i) {
    samples.push_back(
        sample(std::to_string(i), "", "A",
               {vote(0, kForward, i < 2 ? "A" : "B"), vote(1, kForward, "A"), vote(2, kForward, "A")}));
  }
  const auto curve = vote_curve(samples, rule_for(Protocol::pair));
  REQUIRE(curve.size() == 3);
  CHECK(curve[0].estimate.value == Approx(0.5));
  CHECK(curve[1].estimate.value == Approx(0.5));  // one vote each: a tie
  CHECK(curve[2].estimate.value == Approx(1.0));
}

TEST_CASE("the confusion table has a column for no verdict", "[table]") {
  auto samples = ten_pairs();
  samples[0] = sample("p0", "g1", "A", {vote(0, kForward, "?")});
  const auto table = confusion_table(samples, Protocol::pair);
  CHECK(table.labels == std::vector<std::string>{"A", "B", "tie"});
  CHECK(table.counts == std::vector<std::vector<std::int64_t>>{{2, 1, 0, 1}, {1, 2, 1, 0}, {1, 0, 1, 0}});
}

TEST_CASE("a label outside the protocol is refused by name of the sample", "[table]") {
  auto samples = ten_pairs();
  samples[4].human = "C";
  try {
    agreement(samples, rule_for(Protocol::pair));
    FAIL("accepted");
  } catch (const base::Error& error) {
    CHECK(std::string(error.what()).find("'p4'") != std::string::npos);
    CHECK(std::string(error.what()).find("'C'") != std::string::npos);
  }
}

TEST_CASE("unlabelled samples have reliability only", "[table]") {
  auto samples = ten_pairs();
  for (auto& s : samples) s.human.clear();
  const auto metrics = agreement(samples, rule_for(Protocol::pair));
  CHECK(std::none_of(metrics.begin(), metrics.end(), [](const auto& m) { return m.name == "accuracy"; }));
  CHECK(find(metrics, "order consistency").value == 1);
  CHECK(agreement({}, rule_for(Protocol::pair)).front().estimate.undefined == "no items");
}

TEST_CASE("macro statistics leave out groups that are absent or undefined", "[table]") {
  const auto macro = macro_ratio_statistic({1, 0, 1}, {1, 1, 1}, {0, 0, 1});
  CHECK(macro({}).value == Approx(0.75));
  const std::vector<std::uint32_t> without = {1, 1, 0};
  CHECK(macro(without).value == Approx(0.5));
  CHECK(dense({"b", "a", "b", ""}, EmptyName::shared) == std::vector<std::uint32_t>{0, 1, 0, 2});
  CHECK(dense({"", "a", "", "a"}, EmptyName::own) == std::vector<std::uint32_t>{0, 1, 2, 1});
}

}  // namespace assize::metrics
