#include "metrics/categorical.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace assize::metrics {
namespace {

double weight(Counts counts, std::size_t item) {
  return counts.empty() ? 1.0 : static_cast<double>(counts[item]);
}

}  // namespace

double Confusion::total() const { return std::accumulate(cells.begin(), cells.end(), 0.0); }

Confusion confusion(std::span<const int> truth, std::span<const int> predicted, std::size_t classes,
                    Counts counts) {
  if (truth.size() != predicted.size())
    throw base::Error("a confusion table needs two columns of equal length");
  Confusion table{classes, std::vector<double>(classes * classes)};
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const auto row = static_cast<std::size_t>(truth[i]), column = static_cast<std::size_t>(predicted[i]);
    if (truth[i] < 0 || predicted[i] < 0 || row >= classes || column >= classes) {
      throw base::Error("a confusion table met a class outside its classes");
    }
    table.cells[row * classes + column] += weight(counts, i);
  }
  return table;
}

Figure accuracy(const Confusion& table) {
  const double total = table.total();
  if (total == 0) return no_figure("no items");
  double right = 0;
  for (std::size_t c = 0; c < table.classes; ++c) right += table.at(c, c);
  return {right / total, nullptr};
}

Figure cohen_kappa(const Confusion& table) {
  const double total = table.total();
  if (total == 0) return no_figure("no items");
  double observed = 0, expected = 0;
  for (std::size_t c = 0; c < table.classes; ++c) {
    double row = 0, column = 0;
    for (std::size_t d = 0; d < table.classes; ++d) {
      row += table.at(c, d);
      column += table.at(d, c);
    }
    observed += table.at(c, c);
    expected += row * column / total;
  }
  if (expected == total) return no_figure("both sides use one class only");
  return {(observed - expected) / (total - expected), nullptr};
}

MacroScores macro_scores(const Confusion& table, std::size_t averaged) {
  double precision = 0, recall = 0, f1 = 0;
  int present = 0;
  for (std::size_t c = 0; c < (averaged ? averaged : table.classes); ++c) {
    double row = 0, column = 0;
    for (std::size_t d = 0; d < table.classes; ++d) {
      row += table.at(c, d);
      column += table.at(d, c);
    }
    if (row + column == 0) continue;
    ++present;
    const double hits = table.at(c, c);
    precision += column > 0 ? hits / column : 0;
    recall += row > 0 ? hits / row : 0;
    f1 += 2 * hits / (row + column);
  }
  if (present == 0) return {no_figure("no items"), no_figure("no items"), no_figure("no items")};
  return {{precision / present, nullptr}, {recall / present, nullptr}, {f1 / present, nullptr}};
}

Figure fleiss_kappa(const RatingTable& table, Counts counts) {
  double items = 0, raters = -1, agreement = 0;
  std::vector<double> shares(table.classes);
  for (std::size_t i = 0; i < table.items(); ++i) {
    const double w = weight(counts, i);
    double ratings = 0, squares = 0;
    for (std::size_t c = 0; c < table.classes; ++c) {
      const double k = table.cells[i * table.classes + c];
      ratings += k;
      squares += k * k;
    }
    if (raters < 0) raters = ratings;
    if (ratings != raters) return no_figure("the items have different numbers of ratings");
    if (ratings < 2) return no_figure("fewer than 2 ratings an item");
    agreement += w * (squares - ratings) / (ratings * (ratings - 1));
    for (std::size_t c = 0; c < table.classes; ++c) shares[c] += w * table.cells[i * table.classes + c];
    items += w;
  }
  if (items == 0) return no_figure("no items");
  double expected = 0, most = 0;
  for (const double share : shares) {
    expected += (share / (items * raters)) * (share / (items * raters));
    most = std::max(most, share);
  }
  if (most == items * raters) return no_figure("one class only occurs");
  return {(agreement / items - expected) / (1 - expected), nullptr};
}

Figure krippendorff_alpha(const RatingTable& table, Level level, Counts counts) {
  const std::size_t k = table.classes;
  std::vector<double> coincidences(k * k), margins(k);
  for (std::size_t i = 0; i < table.items(); ++i) {
    const double* row = &table.cells[i * k];
    const double ratings = std::accumulate(row, row + k, 0.0);
    const double w = weight(counts, i);
    if (ratings < 2 || w == 0) continue;
    for (std::size_t c = 0; c < k; ++c) {
      for (std::size_t d = 0; d < k; ++d) {
        const double pairs = row[c] * (row[d] - (c == d ? 1 : 0));
        coincidences[c * k + d] += w * pairs / (ratings - 1);
      }
      margins[c] += w * row[c];
    }
  }
  const double total = std::accumulate(margins.begin(), margins.end(), 0.0);
  if (total == 0) return no_figure("no item has 2 ratings");
  if (std::count_if(margins.begin(), margins.end(), [](double m) { return m > 0; }) < 2) {
    return no_figure("one class only occurs");
  }
  const auto distance = [&](std::size_t c, std::size_t d) {
    if (c == d) return 0.0;
    if (level == Level::nominal) return 1.0;
    const auto [low, high] = std::minmax(c, d);
    double apart = -(margins[low] + margins[high]) / 2;
    for (std::size_t g = low; g <= high; ++g) apart += margins[g];
    return apart * apart;
  };
  double observed = 0, expected = 0;
  for (std::size_t c = 0; c < k; ++c) {
    for (std::size_t d = 0; d < k; ++d) {
      if (c == d) continue;
      const double apart = distance(c, d);
      observed += coincidences[c * k + d] * apart;
      expected += margins[c] * margins[d] * apart;
    }
  }
  if (expected == 0) return no_figure("all ratings have one value");
  return {1 - (total - 1) * observed / expected, nullptr};
}

IntervalAlpha::IntervalAlpha(const std::vector<std::vector<double>>& ratings) {
  double sum = 0, count = 0;
  for (const auto& item : ratings) {
    sum += std::accumulate(item.begin(), item.end(), 0.0);
    count += static_cast<double>(item.size());
  }
  const double mean = count > 0 ? sum / count : 0;
  for (const auto& item : ratings) {
    Item out;
    if (item.size() >= 2) {
      out.count = static_cast<double>(item.size());
      for (const double value : item) {
        out.sum += value - mean;
        out.squares += (value - mean) * (value - mean);
        for (const double other : item) out.within += (value - other) * (value - other) / (out.count - 1);
      }
      const auto [low, high] = std::minmax_element(item.begin(), item.end());
      out.low = *low;
      out.high = *high;
    }
    items_.push_back(out);
  }
}

Figure IntervalAlpha::operator()(Counts counts) const {
  Item all;
  bool any = false;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    const double w = weight(counts, i);
    if (item.count == 0 || w == 0) continue;
    all.count += w * item.count;
    all.sum += w * item.sum;
    all.squares += w * item.squares;
    all.within += w * item.within;
    all.low = any ? std::min(all.low, item.low) : item.low;
    all.high = any ? std::max(all.high, item.high) : item.high;
    any = true;
  }
  if (!any) return no_figure("no item has 2 ratings");
  if (all.low == all.high) return no_figure("one class only occurs");
  // The squared differences of all pairs of ratings are 2 (n sum of squares - square of the sum).
  const double apart = 2 * (all.count * all.squares - all.sum * all.sum);
  return {1 - all.within * (all.count - 1) / apart, nullptr};
}

double normalised_levenshtein(std::string_view a, std::string_view b) {
  if (a.empty() && b.empty()) return 0;
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t swap = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({swap, row[j] + 1, row[j + 1] + 1});
    }
  }
  return static_cast<double>(row.back()) / static_cast<double>(std::max(a.size(), b.size()));
}

}  // namespace assize::metrics
