#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "golden_cases.h"
#include "metrics/bootstrap.h"
#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "metrics/ranking.h"
#include "metrics/significance.h"
#include "support/catch.h"
#include "support/paths.h"

namespace assize::metrics {
namespace {

const nlohmann::json& expected() {
  static const nlohmann::json kGolden = [] {
    std::ifstream file(support::source_dir() + "/tests/golden/metrics.json");
    return nlohmann::json::parse(file);
  }();
  return kGolden;
}

// Every case of one metric: defined where the library's value is, and equal to it.
void check(const std::string& metric, const std::function<Figure(std::size_t)>& compute,
           double tolerance = 1e-11) {
  const auto& values = expected().at(metric);
  REQUIRE(values.size() >= 200);
  int defined = 0;
  for (std::size_t c = 0; c < values.size(); ++c) {
    INFO(metric << " case " << c);
    const Figure figure = compute(c);
    CHECK(std::isfinite(figure.value));
    CHECK(figure.defined() == !values[c].is_null());
    if (!figure.defined() || values[c].is_null()) continue;
    ++defined;
    CHECK(std::abs(figure.value - values[c].get<double>()) <=
          tolerance * std::max(1.0, std::abs(figure.value)));
  }
  CHECK(defined >= 100);
}

Confusion table(std::size_t c) {
  const auto labels = golden::labels(c);
  return confusion(labels.truth, labels.predicted, labels.classes);
}

RatingTable rated(std::size_t c, bool missing) {
  const auto ratings = golden::ratings(c, missing);
  return {ratings.classes, ratings.cells};
}

// Classes as numbers 0, 1, …: as many of each as the table says.
Figure interval_alpha(std::size_t c) {
  const auto table = rated(c, true);
  std::vector<std::vector<double>> ratings(table.items());
  for (std::size_t i = 0; i < table.cells.size(); ++i)
    ratings[i / table.classes].insert(ratings[i / table.classes].end(), static_cast<std::size_t>(table.cells[i]),
                                      static_cast<double>(i % table.classes));
  return IntervalAlpha(ratings)();
}

}  // namespace

TEST_CASE("correlations equal SciPy's", "[golden]") {
  const auto on_numbers = [](auto function) {
    return [function](std::size_t c) {
      const auto columns = golden::numbers(c);
      return function(columns.x, columns.y);
    };
  };
  check("pearson", on_numbers([](auto& x, auto& y) { return pearson(x, y); }), 1e-9);
  check("spearman", on_numbers([](auto& x, auto& y) { return spearman(x, y); }));
  check("kendall_tau_b", on_numbers([](auto& x, auto& y) { return kendall_tau_b(x, y); }));
  check("mean_squared_error", on_numbers([](auto& x, auto& y) { return mean_squared_error(x, y); }));
}

TEST_CASE("label agreement equals scikit-learn's", "[golden]") {
  check("accuracy", [](std::size_t c) { return accuracy(table(c)); });
  check("cohen_kappa", [](std::size_t c) { return cohen_kappa(table(c)); });
  check("macro_precision", [](std::size_t c) { return macro_scores(table(c)).precision; });
  check("macro_recall", [](std::size_t c) { return macro_scores(table(c)).recall; });
  check("macro_f1", [](std::size_t c) { return macro_scores(table(c)).f1; });
}

TEST_CASE("agreement of several raters equals statsmodels' and krippendorff's", "[golden]") {
  check("fleiss_kappa", [](std::size_t c) { return fleiss_kappa(rated(c, false)); });
  check("alpha_nominal", [](std::size_t c) { return krippendorff_alpha(rated(c, true), Level::nominal); });
  check("alpha_ordinal", [](std::size_t c) { return krippendorff_alpha(rated(c, true), Level::ordinal); });
  check("alpha_interval", interval_alpha);
}

TEST_CASE("the edit distance equals its definition", "[golden]") {
  check("levenshtein", [](std::size_t c) {
    return Figure{normalised_levenshtein(golden::word(c, 40), golden::word(c, 41))};
  });
}

TEST_CASE("BCa bounds and the normal quantile equal SciPy's", "[golden]") {
  const auto bounds = [](std::size_t c) {
    std::vector<double> resampled, jackknife;
    // Rounding to two decimals as Python does, half to even on the shortest digits: none of these is a half.
    const auto rounded = [](double v) { return std::round(v * 100) / 100; };
    for (std::size_t i = 0; i < 200; ++i)
      resampled.push_back(rounded(std::pow(golden::uniform(c, 50, i), 2)));
    for (std::size_t i = 0; i < 20; ++i) jackknife.push_back(std::pow(golden::uniform(c, 51, i), 3));
    return bca_bounds(resampled, rounded(0.2 + 0.3 * golden::uniform(c, 52, 0)), jackknife, 0.95);
  };
  check("bca_low", [&](std::size_t c) { return Figure{bounds(c).low}; });
  check("bca_high", [&](std::size_t c) { return Figure{bounds(c).high}; });
  check("normal_quantile", [](std::size_t c) {
    return Figure{normal_quantile(std::pow(golden::uniform(c, 60, 0), static_cast<double>(1 + c % 9)))};
  });
}

TEST_CASE("Bradley-Terry strengths equal those of a logistic regression", "[golden]") {
  const auto strength = [](std::size_t c) {
    const auto wins = golden::wins(c);
    const Strengths strengths = bradley_terry({wins.systems, wins.cells});
    return strengths.undefined ? no_figure(strengths.undefined) : Figure{strengths.values[0], nullptr};
  };
  check("bradley_terry", strength, 1e-8);
}

TEST_CASE("tests between two judges equal SciPy's and statsmodels'", "[golden]") {
  check("sign_flip_test", [](std::size_t c) {
    const auto judges = golden::judges(c);
    std::vector<double> differences;
    for (std::size_t i = 0; i < judges.first.size(); ++i) differences.push_back(judges.second[i] - judges.first[i]);
    return sign_flip_test(differences, {});
  });
  check("swap_test", [](std::size_t c) {
    const auto judges = golden::judges(2 * c);
    return swap_test(judges.truth, judges.first, judges.second, {});
  });
  check("mcnemar", [](std::size_t c) {
    const auto count = [&](std::uint64_t column) { return static_cast<std::int64_t>(golden::bits(c, column, 0) % (3 + c)); };
    return Figure{mcnemar(count(83), count(84))};
  });
  check("holm", [](std::size_t c) {
    std::vector<double> p;
    for (std::size_t i = 0; i < 1 + c % 9; ++i) p.push_back(std::pow(golden::uniform(c, 85, i), 4));
    return Figure{holm(p).front()};
  });
}

TEST_CASE("a resample given as counts equals the same resample given as copies", "[golden]") {
  for (std::size_t c = 0; c < 252; ++c) {
    INFO("case " << c);
    const auto columns = golden::numbers(c);
    std::vector<std::uint32_t> counts;
    std::vector<double> x, y;
    for (std::size_t i = 0; i < columns.x.size(); ++i) {
      counts.push_back(static_cast<std::uint32_t>(golden::bits(c, 70, i) % 3));
      for (std::uint32_t k = 0; k < counts.back(); ++k) {
        x.push_back(columns.x[i]);
        y.push_back(columns.y[i]);
      }
    }
    const auto equal = [](const Figure& a, const Figure& b) {
      CHECK(a.defined() == b.defined());
      CHECK(a.value == Approx(b.value).margin(1e-9));
    };
    equal(Pearson(columns.x, columns.y)(counts), pearson(x, y));
    equal(Spearman(columns.x, columns.y)(counts), spearman(x, y));
    equal(Kendall(columns.x, columns.y)(counts), kendall_tau_b(x, y));
    equal(mean_squared_error(columns.x, columns.y, counts), mean_squared_error(x, y));
  }
}

}  // namespace assize::metrics
