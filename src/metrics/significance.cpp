#include "metrics/significance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/noise.h"
#include "metrics/correlation.h"

namespace assize::metrics {
namespace {

constexpr std::int64_t kExactDiscordant = 25;

// Sums that should be equal differ by rounding.
constexpr double kRounding = 1e-9;

std::size_t unit_count(std::size_t items, std::span<const std::uint32_t> clusters) {
  return clusters.empty() ? items : *std::max_element(clusters.begin(), clusters.end()) + std::size_t{1};
}

// p-value over patterns of 0 and 1 of `units` bits: the share for which `extreme(pattern)` holds.
template <class Extreme>
double share_of_patterns(std::size_t units, const PermutationSettings& settings, const Extreme& extreme) {
  std::vector<std::uint8_t> pattern(units);
  if (units < 63 && (std::int64_t{1} << units) <= settings.permutations) {
    const std::uint64_t all = std::uint64_t{1} << units;
    std::int64_t hits = 0;
    for (std::uint64_t bits = 0; bits < all; ++bits) {
      for (std::size_t u = 0; u < units; ++u) pattern[u] = bits >> u & 1;
      hits += extreme(pattern);
    }
    return static_cast<double>(hits) / static_cast<double>(all);
  }
  std::int64_t hits = 0;
  for (int p = 0; p < settings.permutations; ++p) {
    for (std::size_t u = 0; u < units; u += 64) {
      std::uint64_t bits =
          base::noise_bits(settings.seed, static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(u / 64));
      for (std::size_t b = u; b < std::min(units, u + 64); ++b, bits >>= 1) pattern[b] = bits & 1;
    }
    hits += extreme(pattern);
  }
  return static_cast<double>(1 + hits) / static_cast<double>(1 + settings.permutations);
}

// In units of the standard deviation around the mean; empty for a constant column.
std::vector<double> standardised(std::span<const double> values) {
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (*low == *high) return {};
  std::vector<double> out;
  for (const double v : values) out.push_back((v - mean) / std::sqrt(squares / n));
  return out;
}

}  // namespace

double mcnemar(std::int64_t only_first, std::int64_t only_second) {
  const std::int64_t n = only_first + only_second;
  if (n == 0) return 1;
  if (n >= kExactDiscordant) {
    const double distance = static_cast<double>(std::abs(only_first - only_second)) - 1;
    return std::erfc(std::sqrt(distance * distance / static_cast<double>(n) / 2));
  }
  double term = std::exp2(-static_cast<double>(n)), sum = 0;  // C(n, k) / 2^n
  for (std::int64_t k = 0; k <= std::min(only_first, only_second); ++k) {
    sum += term;
    term *= static_cast<double>(n - k) / static_cast<double>(k + 1);
  }
  return std::min(1.0, 2 * sum);
}

Figure sign_flip_test(std::span<const double> differences, const PermutationSettings& settings,
                      std::span<const std::uint32_t> clusters) {
  if (differences.empty()) return no_figure("no items");
  std::vector<double> sums(unit_count(differences.size(), clusters));
  for (std::size_t i = 0; i < differences.size(); ++i)
    sums[clusters.empty() ? i : clusters[i]] += differences[i];
  std::erase(sums, 0.0);  // their sign changes nothing
  if (sums.empty()) return {1, nullptr};
  double observed = 0, scale = 0;
  for (const double s : sums) {
    observed += s;
    scale += std::abs(s);
  }
  const double limit = std::abs(observed) - kRounding * scale;
  return {share_of_patterns(sums.size(), settings,
                            [&](const std::vector<std::uint8_t>& pattern) {
                              double sum = 0;
                              for (std::size_t u = 0; u < sums.size(); ++u)
                                sum += pattern[u] ? -sums[u] : sums[u];
                              return std::abs(sum) >= limit;
                            }),
          nullptr};
}

Figure swap_test(std::span<const double> truth, std::span<const double> first, std::span<const double> second,
                 const PermutationSettings& settings, std::span<const std::uint32_t> clusters) {
  if (truth.size() < 3) return no_figure("fewer than 3 items");  // two items correlate by +1 or -1 always
  for (const auto& judge : {first, second}) {
    if (const Figure r = pearson(truth, judge); !r.defined()) return r;
  }
  const auto t = standardised(truth), a = standardised(first), b = standardised(second);
  const double n = static_cast<double>(t.size());
  // Difference of the correlations when the marked units are swapped; a column that a swap makes constant has
  // none and counts as 0.
  const auto difference = [&](const std::vector<std::uint8_t>& pattern) {
    double ta = 0, tb = 0, a1 = 0, b1 = 0, a2 = 0, b2 = 0;
    for (std::size_t i = 0; i < t.size(); ++i) {
      const bool swapped = pattern[clusters.empty() ? i : clusters[i]];
      const double x = swapped ? b[i] : a[i], y = swapped ? a[i] : b[i];
      ta += t[i] * x;
      tb += t[i] * y;
      a1 += x;
      b1 += y;
      a2 += x * x;
      b2 += y * y;
    }
    const double va = a2 / n - a1 * a1 / (n * n), vb = b2 / n - b1 * b1 / (n * n);
    const double ra = va > kRounding ? ta / n / std::sqrt(va) : 0,
                 rb = vb > kRounding ? tb / n / std::sqrt(vb) : 0;
    return rb - ra;
  };
  const std::size_t units = unit_count(t.size(), clusters);
  const double limit = std::abs(difference(std::vector<std::uint8_t>(units))) - kRounding;
  return {share_of_patterns(units, settings,
                            [&](const auto& pattern) { return std::abs(difference(pattern)) >= limit; }),
          nullptr};
}

std::vector<double> holm(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    largest = std::max(largest, p_values[order[k]] * static_cast<double>(order.size() - k));
    adjusted[order[k]] = std::min(1.0, largest);
  }
  return adjusted;
}

}  // namespace assize::metrics
