#include "metrics/correlation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace assize::metrics {
namespace {

constexpr const char* kTooFew = "fewer than 2 items";
constexpr const char* kConstant = "all values of one column are equal";

void check(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size()) throw base::Error("a correlation needs two columns of equal length");
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::all_of(x.begin(), x.end(), finite) || !std::all_of(y.begin(), y.end(), finite)) {
    throw base::Error("a correlation needs finite numbers: a score is NaN or infinite");
  }
}

bool constant(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double value) { return value == values.front(); });
}

std::vector<double> standardised(std::span<const double> values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  std::vector<double> out(values.begin(), values.end());
  double peak = 0;
  for (double& value : out) {
    value -= mean;
    peak = std::max(peak, std::abs(value));
  }
  double sum = 0;  // scaled by the peak first: no overflow and no underflow in the squares
  for (double& value : out) {
    value /= peak;
    sum += value * value;
  }
  const double scale = std::sqrt(sum / static_cast<double>(values.size()));
  for (double& value : out) value /= scale;
  return out;
}

Figure clamped(double r) { return {std::clamp(r, -1.0, 1.0), nullptr}; }

}  // namespace

Pearson::Pearson(std::span<const double> x, std::span<const double> y) {
  check(x, y);
  if (x.size() < 2) {
    undefined_ = kTooFew;
  } else if (constant(x) || constant(y)) {
    undefined_ = kConstant;
  } else {
    x_ = standardised(x);
    y_ = standardised(y);
  }
}

Figure Pearson::operator()(Counts counts) const {
  if (undefined_) return no_figure(undefined_);
  const std::size_t n = x_.size();
  double w = 0, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double c = counts.empty() ? 1.0 : static_cast<double>(counts[i]);
    const double cx = c * x_[i], cy = c * y_[i];
    w += c;
    sx += cx;
    sy += cy;
    sxx += cx * x_[i];
    syy += cy * y_[i];
    sxy += cx * y_[i];
  }
  if (w < 2) return no_figure(kTooFew);
  const double vx = sxx - sx * sx / w, vy = syy - sy * sy / w;
  // What rounding leaves of the variance of a constant resample.
  if (vx <= 1e-13 * sxx || vy <= 1e-13 * syy) return no_figure(kConstant);
  return clamped((sxy - sx * sy / w) / std::sqrt(vx * vy));
}

Spearman::Column Spearman::sorted(std::span<const double> values) {
  Column column;
  column.order.resize(values.size());
  std::iota(column.order.begin(), column.order.end(), 0u);
  std::sort(column.order.begin(), column.order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  for (std::size_t i = 0; i < column.order.size(); ++i) {
    if (i == 0 || values[column.order[i]] != values[column.order[i - 1]])
      column.starts.push_back(static_cast<std::uint32_t>(i));
  }
  column.starts.push_back(static_cast<std::uint32_t>(values.size()));
  return column;
}

Spearman::Spearman(std::span<const double> x, std::span<const double> y) {
  check(x, y);
  x_ = sorted(x);
  y_ = sorted(y);
}

Figure Spearman::operator()(Counts counts) const {
  const std::size_t n = x_.order.size();
  const std::uint64_t total =
      counts.empty() ? n : std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (total < 2) return no_figure(kTooFew);
  const auto count = [&](std::uint32_t item) {
    return counts.empty() ? 1.0 : static_cast<double>(counts[item]);
  };
  const double middle = (static_cast<double>(total) + 1) / 2;

  // Rank minus mean rank of each value of x, then the products while walking the values of y.
  std::vector<double> x_rank(n);
  double sxx = 0, before = 0;
  for (std::size_t g = 0; g + 1 < x_.starts.size(); ++g) {
    double size = 0;
    for (std::uint32_t i = x_.starts[g]; i < x_.starts[g + 1]; ++i) size += count(x_.order[i]);
    const double rank = before + (size + 1) / 2 - middle;
    for (std::uint32_t i = x_.starts[g]; i < x_.starts[g + 1]; ++i) x_rank[x_.order[i]] = rank;
    sxx += size * rank * rank;
    before += size;
  }
  double syy = 0, sxy = 0;
  before = 0;
  for (std::size_t g = 0; g + 1 < y_.starts.size(); ++g) {
    double size = 0, sum = 0;
    for (std::uint32_t i = y_.starts[g]; i < y_.starts[g + 1]; ++i) {
      const double c = count(y_.order[i]);
      size += c;
      sum += c * x_rank[y_.order[i]];
    }
    const double rank = before + (size + 1) / 2 - middle;
    syy += size * rank * rank;
    sxy += sum * rank;
    before += size;
  }
  // Ranks are multiples of 1/2: the sum of a constant column is an exact zero.
  if (sxx == 0 || syy == 0) return no_figure(kConstant);
  return clamped(sxy / std::sqrt(sxx * syy));
}

Kendall::Kendall(std::span<const double> x, std::span<const double> y) {
  check(x, y);
  const std::size_t n = x.size();
  std::vector<std::uint32_t> by_y(n);
  std::iota(by_y.begin(), by_y.end(), 0u);
  order_ = by_y;
  std::sort(by_y.begin(), by_y.end(), [&](auto a, auto b) { return y[a] < y[b]; });
  std::sort(order_.begin(), order_.end(),
            [&](auto a, auto b) { return x[a] != x[b] ? x[a] < x[b] : y[a] < y[b]; });
  x_rank_.resize(n);
  y_rank_.resize(n);
  for (std::size_t i = 1; i < n; ++i) {
    y_rank_[by_y[i]] = y_rank_[by_y[i - 1]] + (y[by_y[i]] != y[by_y[i - 1]]);
    x_rank_[order_[i]] = x_rank_[order_[i - 1]] + (x[order_[i]] != x[order_[i - 1]]);
  }
  y_ranks_ = n ? y_rank_[by_y.back()] + 1 : 0;
}

Figure Kendall::operator()(Counts counts) const {
  const std::size_t n = order_.size();
  const auto count = [&](std::uint32_t item) {
    return counts.empty() ? std::int64_t{1} : static_cast<std::int64_t>(counts[item]);
  };
  std::vector<std::int64_t> tree(y_ranks_ + 1);  // Fenwick tree: how many items of each y rank were met
  const auto up_to = [&](std::uint32_t ranks) {
    std::int64_t sum = 0;
    for (std::uint32_t i = ranks; i > 0; i &= i - 1) sum += tree[i];
    return sum;
  };
  const auto pairs = [](std::int64_t k) { return k * (k - 1) / 2; };
  std::vector<std::int64_t> y_totals(y_ranks_);
  std::int64_t met = 0, concordant = 0, discordant = 0, x_ties = 0, y_ties = 0;
  for (std::size_t begin = 0; begin < n;) {
    std::size_t end = begin;
    std::int64_t group = 0;
    for (; end < n && x_rank_[order_[end]] == x_rank_[order_[begin]]; ++end) {
      const auto item = order_[end];
      const auto c = count(item);
      if (c == 0) continue;
      const std::int64_t below = up_to(y_rank_[item]), not_above = up_to(y_rank_[item] + 1);
      concordant += c * below;
      discordant += c * (met - not_above);
      group += c;
      y_totals[y_rank_[item]] += c;
    }
    for (std::size_t i = begin; i < end; ++i) {
      const auto c = count(order_[i]);
      if (c == 0) continue;
      for (std::uint32_t at = y_rank_[order_[i]] + 1; at <= y_ranks_; at += at & (~at + 1)) tree[at] += c;
    }
    met += group;
    x_ties += pairs(group);
    begin = end;
  }
  for (const auto total : y_totals) y_ties += pairs(total);
  if (met < 2) return no_figure(kTooFew);
  const std::int64_t all = pairs(met);
  if (all == x_ties || all == y_ties) return no_figure(kConstant);
  return clamped(static_cast<double>(concordant - discordant) / std::sqrt(static_cast<double>(all - x_ties)) /
                 std::sqrt(static_cast<double>(all - y_ties)));
}

Figure pearson(std::span<const double> x, std::span<const double> y) { return Pearson(x, y)(); }
Figure spearman(std::span<const double> x, std::span<const double> y) { return Spearman(x, y)(); }
Figure kendall_tau_b(std::span<const double> x, std::span<const double> y) { return Kendall(x, y)(); }

Figure mean_squared_error(std::span<const double> x, std::span<const double> y, Counts counts) {
  check(x, y);
  double sum = 0, w = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double c = counts.empty() ? 1.0 : static_cast<double>(counts[i]);
    sum += c * (x[i] - y[i]) * (x[i] - y[i]);
    w += c;
  }
  if (w == 0) return no_figure("no items");
  return {sum / w, nullptr};
}

std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + end + 1) / 2;
    begin = end;
  }
  return ranks;
}

}  // namespace assize::metrics
