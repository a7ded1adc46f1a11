#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "metrics/bootstrap.h"

namespace assize::metrics {

/// Sum of the numerators over the sum of the denominators: rates, means, accuracies over some of the items.
/// Undefined where the denominators are all 0.
Statistic ratio_statistic(std::vector<double> numerators, std::vector<double> denominators);

/// ratio_statistic with denominators 1.
Statistic mean_statistic(std::vector<double> values);

/// Unweighted mean over groups of the ratio in each group; groups that a resample misses are left out.
Statistic macro_ratio_statistic(std::vector<double> numerators, std::vector<double> denominators,
                                std::vector<std::uint32_t> groups);

/// A statistic of each group alone, averaged without weights; groups where it is undefined are left out of a
/// resample. `make` builds the statistic of a group from the indices of its items.
Statistic macro_statistic(const std::vector<std::uint32_t>& groups,
                          const std::function<Statistic(const std::vector<std::size_t>&)>& make);

/// Numbers the distinct names from 0 in order of first appearance; an empty name is a number of its own when
/// `empty_is` says so.
enum class EmptyName : std::uint8_t { shared, own };
std::vector<std::uint32_t> dense(const std::vector<std::string_view>& names, EmptyName empty_is);

}  // namespace assize::metrics
