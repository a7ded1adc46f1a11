#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/figure.h"

namespace assize::metrics {

/// How permutation tests are made. The result depends on nothing but these and the data.
struct PermutationSettings {
  int permutations = 10000;  ///< at random, where there are more than that many
  std::uint64_t seed = 0;
};

/// Two-sided p-value of McNemar's test (1947) from the items that only one of two judges has right. Below 25
/// such items the exact binomial test, otherwise chi-square with one degree of freedom and continuity
/// correction (Edwards 1948): (|b - c| - 1)^2 / (b + c). 1 where there is no such item.
/// statsmodels.stats.contingency_tables.mcnemar.
double mcnemar(std::int64_t only_first, std::int64_t only_second);

/// Two-sided p-value of "the mean of the differences is 0" (Fisher 1935): the share of sign patterns whose
/// sum is as far from 0 as the one seen. All patterns where there are at most `permutations` of them,
/// otherwise random ones: (1 + hits) / (1 + permutations) (Phipson & Smyth 2010). `clusters` as in bootstrap:
/// signs change by cluster. scipy.stats.permutation_test(permutation_type="samples"). Undefined for no
/// differences.
Figure sign_flip_test(std::span<const double> differences, const PermutationSettings& settings,
                      std::span<const std::uint32_t> clusters = {});

/// Two-sided p-value of "both judges' scores correlate equally with `truth`": within items (or clusters) the
/// two scores change places at random, after each judge's scores were brought to mean 0 and standard
/// deviation 1 (Deutsch, Dror & Roth 2021, PERM-INPUTS). For Spearman give ranks. Enumerated as
/// sign_flip_test. Undefined for fewer than 3 items and where one of the correlations is.
Figure swap_test(std::span<const double> truth, std::span<const double> first, std::span<const double> second,
                 const PermutationSettings& settings, std::span<const std::uint32_t> clusters = {});

/// p-values adjusted for being several (Holm 1979), in the order given; at most 1.
/// statsmodels.stats.multitest.multipletests(method="holm").
std::vector<double> holm(std::span<const double> p_values);

}  // namespace assize::metrics
