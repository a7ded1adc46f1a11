#include "metrics/bootstrap.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/noise.h"

namespace assize::metrics {
namespace {

constexpr double kSumNoise = 1e-12;  // relative; of figures that differ by the order of their sums only
constexpr const char* kNoSpread = "equal in every resample";
constexpr std::int64_t kMinResamples = 200;
constexpr std::size_t kMaxJackknife = 1000;  // leave-one-out figures; beyond it, blocks are left out

// Runs body(i) for i in [0, count) on some threads; what it computes must not depend on which.
void in_parallel(std::size_t count, int threads, const std::function<void(std::size_t)>& body) {
  std::size_t workers =
      threads > 0 ? static_cast<std::size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
  workers = std::min(workers, count);
  std::atomic<std::size_t> next = 0;
  std::exception_ptr error;
  std::mutex lock;
  const auto work = [&] {
    constexpr std::size_t kChunk = 16;
    try {
      for (std::size_t begin = next.fetch_add(kChunk); begin < count; begin = next.fetch_add(kChunk)) {
        for (std::size_t i = begin; i < std::min(count, begin + kChunk); ++i) body(i);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> hold(lock);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> pool;
  for (std::size_t t = 1; t < workers; ++t) pool.emplace_back(work);
  work();
  for (auto& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

// How often each of `size` things is drawn in `size` draws. Two draws from 64 random bits; the bias of the
// multiply-shift reduction is below size / 2^32.
void draw(std::uint64_t seed, std::uint32_t resample, std::span<std::uint32_t> counts) {
  std::fill(counts.begin(), counts.end(), 0u);
  const std::uint64_t size = counts.size();
  for (std::uint64_t i = 0; i < size; i += 2) {
    const std::uint64_t bits = base::noise_bits(seed, resample, static_cast<std::uint32_t>(i / 2));
    ++counts[((bits >> 32) * size) >> 32];
    if (i + 1 < size) ++counts[((bits & 0xFFFFFFFFu) * size) >> 32];
  }
}

// Figures of samples made by `fill`; undefined ones are left out.
std::vector<double> figures(std::size_t samples, std::size_t items, const Statistic& statistic, int threads,
                            const std::function<void(std::size_t, std::span<std::uint32_t>)>& fill) {
  std::vector<Figure> all(samples);
  in_parallel(samples, threads, [&](std::size_t s) {
    thread_local std::vector<std::uint32_t> counts;
    counts.resize(items);
    fill(s, counts);
    all[s] = statistic(counts);
  });
  std::vector<double> values;
  for (const Figure& figure : all) {
    if (figure.defined()) values.push_back(figure.value);
  }
  return values;
}

}  // namespace

Estimate bootstrap(const Statistic& statistic, std::size_t items, const BootstrapSettings& settings,
                   std::span<const std::uint32_t> clusters) {
  if (!clusters.empty() && clusters.size() != items)
    throw base::Error("bootstrap: one cluster number per item is needed");
  Estimate estimate;
  estimate.n = static_cast<std::int64_t>(items);
  const Figure whole = items ? statistic({}) : no_figure("no items");
  if (!whole.defined()) {
    estimate.undefined = whole.undefined;
    return estimate;
  }
  estimate.value = whole.value;
  const auto set_bounds = [&estimate](Bounds bca, Bounds percentile) {
    estimate.low = bca.low;
    estimate.high = bca.high;
    estimate.percentile_low = percentile.low;
    estimate.percentile_high = percentile.high;
  };
  set_bounds({whole.value, whole.value}, {whole.value, whole.value});
  const std::size_t units =
      clusters.empty() ? items : *std::max_element(clusters.begin(), clusters.end()) + std::size_t{1};
  if (settings.resamples <= 0) {
    estimate.no_interval = "not asked for";
    return estimate;
  }
  if (units < 2) {
    estimate.no_interval = clusters.empty() ? "one item only" : "one cluster only";
    return estimate;
  }

  const auto spread = [&](std::span<const std::uint32_t> unit_counts, std::span<std::uint32_t> counts) {
    for (std::size_t i = 0; i < items; ++i) counts[i] = unit_counts[clusters[i]];
  };
  const auto affordable = std::max(kMinResamples, settings.work_limit / static_cast<std::int64_t>(items));
  estimate.resamples = static_cast<int>(std::min<std::int64_t>(settings.resamples, affordable));
  const auto resampled = figures(static_cast<std::size_t>(estimate.resamples), items, statistic,
                                 settings.threads, [&](std::size_t r, std::span<std::uint32_t> counts) {
                                   const auto resample = static_cast<std::uint32_t>(r);
                                   if (clusters.empty()) return draw(settings.seed, resample, counts);
                                   thread_local std::vector<std::uint32_t> unit_counts;
                                   unit_counts.resize(units);
                                   draw(settings.seed, resample, unit_counts);
                                   spread(unit_counts, counts);
                                 });
  if (resampled.size() * 10 < static_cast<std::size_t>(estimate.resamples) * 9) {
    estimate.no_interval = "undefined in more than a tenth of the resamples";
    return estimate;
  }

  const double noise = kSumNoise * std::abs(whole.value);
  if (std::all_of(resampled.begin(), resampled.end(), [&](double figure) { return std::abs(figure - whole.value) <= noise; })) {
    estimate.no_interval = kNoSpread;
    return estimate;
  }

  const std::size_t blocks = std::min({units, kMaxJackknife, static_cast<std::size_t>(affordable)});
  const auto jackknife = figures(blocks, items, statistic, settings.threads,
                                 [&](std::size_t b, std::span<std::uint32_t> counts) {
                                   for (std::size_t i = 0; i < items; ++i)
                                     counts[i] = (clusters.empty() ? i : clusters[i]) % blocks != b;
                                 });
  set_bounds(bca_bounds(resampled, whole.value, jackknife, settings.level),
             percentile_bounds(resampled, settings.level));
  return estimate;
}

Bounds percentile_bounds(std::vector<double> resampled, double level) {
  std::sort(resampled.begin(), resampled.end());
  return {quantile(resampled, (1 - level) / 2), quantile(resampled, (1 + level) / 2)};
}

Bounds bca_bounds(std::vector<double> resampled, double observed, std::span<const double> jackknife,
                  double level) {
  std::sort(resampled.begin(), resampled.end());
  if (resampled.empty() || resampled.front() == resampled.back()) return percentile_bounds(resampled, level);

  // Bias: where the figure lies among the resampled ones, ties counted half.
  const auto [below, upto] = std::equal_range(resampled.begin(), resampled.end(), observed);
  const double share =
      (static_cast<double>(below - resampled.begin()) + static_cast<double>(upto - resampled.begin())) /
      (2 * static_cast<double>(resampled.size()));
  if (share <= 0 || share >= 1) return percentile_bounds(resampled, level);
  const double bias = normal_quantile(share);

  double mean = 0, squares = 0, cubes = 0;
  for (const double figure : jackknife) mean += figure / static_cast<double>(jackknife.size());
  for (const double figure : jackknife) {
    const double d = mean - figure;
    squares += d * d;
    cubes += d * d * d;
  }
  const double acceleration = squares > 0 ? cubes / (6 * squares * std::sqrt(squares)) : 0;

  const auto bound = [&](double p) {
    const double z = bias + normal_quantile(p);
    const double denominator = 1 - acceleration * z;
    if (denominator <= 0) return p < 0.5 ? resampled.front() : resampled.back();
    return quantile(resampled, normal_cdf(bias + z / denominator));
  };
  return {bound((1 - level) / 2), bound((1 + level) / 2)};
}

double quantile(std::span<const double> sorted, double q) {
  if (sorted.empty()) return 0;
  const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

double normal_quantile(double p) {
  if (!(p > 0 && p < 1))
    throw base::Error("normal_quantile: a probability strictly between 0 and 1 is needed");
  const auto ratio = [](double r, const double(&a)[8], const double(&b)[8]) {
    double top = a[7], bottom = b[7];
    for (int i = 6; i >= 0; --i) {
      top = top * r + a[i];
      bottom = bottom * r + b[i];
    }
    return top / bottom;
  };
  static constexpr double a[8] = {
      3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
      4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3};
  static constexpr double b[8] = {1.0,
                                  4.2313330701600911252e+1,
                                  6.8718700749205790830e+2,
                                  5.3941960214247511077e+3,
                                  2.1213794301586595867e+4,
                                  3.9307895800092710610e+4,
                                  2.8729085735721942674e+4,
                                  5.2264952788528545610e+3};
  static constexpr double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                  5.76949722146069140550e0,  3.64784832476320460504e0,
                                  1.27045825245236838258e0,  2.41780725177450611770e-1,
                                  2.27238449892691845833e-2, 7.74545014278341407640e-4};
  static constexpr double d[8] = {1.0,
                                  2.05319162663775882187e0,
                                  1.67638483018380384940e0,
                                  6.89767334985100004550e-1,
                                  1.48103976427480074590e-1,
                                  1.51986665636164571966e-2,
                                  5.47593808499534494600e-4,
                                  1.05075007164441684324e-9};
  static constexpr double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                  1.78482653991729133580e0,  2.96560571828504891230e-1,
                                  2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                  2.71155556874348757815e-5, 2.01033439929228813265e-7};
  static constexpr double f[8] = {1.0,
                                  5.99832206555887937690e-1,
                                  1.36929880922735805310e-1,
                                  1.48753612908506148525e-2,
                                  7.86869131145613259100e-4,
                                  1.84631831751005468180e-5,
                                  1.42151175831644588870e-7,
                                  2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) return q * ratio(0.180625 - q * q, a, b);
  const double r = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  const double z = r <= 5 ? ratio(r - 1.6, c, d) : ratio(r - 5, e, f);
  return q < 0 ? -z : z;
}

}  // namespace assize::metrics
