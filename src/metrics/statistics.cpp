#include "metrics/statistics.h"

#include <algorithm>
#include <unordered_map>

namespace assize::metrics {
namespace {

std::size_t group_count(const std::vector<std::uint32_t>& groups) {
  return groups.empty() ? 0 : *std::max_element(groups.begin(), groups.end()) + std::size_t{1};
}

}  // namespace

Statistic ratio_statistic(std::vector<double> numerators, std::vector<double> denominators) {
  return [top = std::move(numerators), bottom = std::move(denominators)](Counts counts) -> Figure {
    double sum = 0, total = 0;
    for (std::size_t i = 0; i < top.size(); ++i) {
      const double c = counts.empty() ? 1.0 : static_cast<double>(counts[i]);
      sum += c * top[i];
      total += c * bottom[i];
    }
    if (total == 0) return no_figure("no items");
    return {sum / total, nullptr};
  };
}

Statistic mean_statistic(std::vector<double> values) {
  std::vector<double> ones(values.size(), 1.0);
  return ratio_statistic(std::move(values), std::move(ones));
}

Statistic macro_ratio_statistic(std::vector<double> numerators, std::vector<double> denominators,
                                std::vector<std::uint32_t> groups) {
  return [top = std::move(numerators), bottom = std::move(denominators),
          groups = std::move(groups)](Counts counts) -> Figure {
    std::vector<double> sums(group_count(groups)), totals(sums.size());
    for (std::size_t i = 0; i < top.size(); ++i) {
      const double c = counts.empty() ? 1.0 : static_cast<double>(counts[i]);
      sums[groups[i]] += c * top[i];
      totals[groups[i]] += c * bottom[i];
    }
    double mean = 0;
    int present = 0;
    for (std::size_t g = 0; g < sums.size(); ++g) {
      if (totals[g] == 0) continue;
      mean += sums[g] / totals[g];
      ++present;
    }
    if (present == 0) return no_figure("no items");
    return {mean / present, nullptr};
  };
}

Statistic macro_statistic(const std::vector<std::uint32_t>& groups,
                          const std::function<Statistic(const std::vector<std::size_t>&)>& make) {
  struct Part {
    std::vector<std::size_t> items;
    Statistic statistic;
  };
  std::vector<Part> parts(group_count(groups));
  for (std::size_t i = 0; i < groups.size(); ++i) parts[groups[i]].items.push_back(i);
  for (Part& part : parts) part.statistic = make(part.items);
  return [parts = std::move(parts)](Counts counts) -> Figure {
    double mean = 0;
    int defined = 0;
    std::vector<std::uint32_t> own;
    for (const Part& part : parts) {
      own.clear();
      if (!counts.empty()) {
        for (const auto item : part.items) own.push_back(counts[item]);
      }
      const Figure figure = part.statistic(own);
      if (!figure.defined()) continue;
      mean += figure.value;
      ++defined;
    }
    if (defined == 0) return no_figure("undefined in every group");
    return {mean / defined, nullptr};
  };
}

std::vector<std::uint32_t> dense(const std::vector<std::string_view>& names, EmptyName empty_is) {
  std::unordered_map<std::string_view, std::uint32_t> known;
  std::vector<std::uint32_t> out;
  std::uint32_t next = 0;
  for (const auto name : names) {
    if (name.empty() && empty_is == EmptyName::own) {
      out.push_back(next++);
      continue;
    }
    const auto [place, fresh] = known.try_emplace(name, next);
    if (fresh) ++next;
    out.push_back(place->second);
  }
  return out;
}

}  // namespace assize::metrics
