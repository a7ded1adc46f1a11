#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "metrics/categorical.h"
#include "metrics/correlation.h"
#include "metrics/table_builder.h"

namespace assize::metrics {
namespace {

using verdict::Protocol;

std::optional<std::string> majority_of(const std::vector<std::string>& labels, std::size_t without) {
  std::map<std::string, int> counts;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i != without && !labels[i].empty()) ++counts[labels[i]];
  }
  int most = 0, leaders = 0;
  std::string leader;
  for (const auto& [label, count] : counts) {
    if (count > most) {
      most = count;
      leaders = 0;
      leader = label;
    }
    leaders += count == most;
  }
  return leaders == 1 ? std::optional(leader) : std::nullopt;
}

std::optional<double> mean_distance(const JudgedSample& sample) {
  double sum = 0, pairs = 0;
  for (std::size_t a = 0; a < sample.annotators.size(); ++a) {
    for (std::size_t b = a + 1; b < sample.annotators.size(); ++b) {
      if (sample.annotators[a].empty() || sample.annotators[b].empty()) continue;
      sum += normalised_levenshtein(sample.annotators[a], sample.annotators[b]);
      ++pairs;
    }
  }
  return pairs > 0 ? std::optional(sum / pairs) : std::nullopt;
}

std::vector<double> numbers_of(const JudgedSample& sample) {
  std::vector<double> out;
  for (const auto& word : sample.annotators) {
    if (word.empty()) continue;
    double number = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size() || !std::isfinite(number)) {
      throw base::Error(
          fmt::format("sample '{}': annotator's score '{}' is not a finite number", sample.id, word));
    }
    out.push_back(number);
  }
  return out;
}

constexpr std::size_t kMostGrades = 20;

/// The scores as grades, in order; nothing for more than kMostGrades of them.
std::optional<RatingTable> grades_of(const std::vector<std::vector<double>>& ratings) {
  std::set<double> grades;
  for (const auto& item : ratings) grades.insert(item.begin(), item.end());
  if (grades.size() > kMostGrades) return std::nullopt;
  RatingTable table{grades.size(), std::vector<double>(ratings.size() * grades.size())};
  for (std::size_t i = 0; i < ratings.size(); ++i) {
    for (const double rating : ratings[i])
      ++table.cells[i * table.classes + static_cast<std::size_t>(std::distance(grades.begin(), grades.find(rating)))];
  }
  return table;
}

/// Every annotator's score of an item beside the mean of the others' of that item.
class OneAgainstOthers {
 public:
  /// Scores of each item; at least two an item.
  explicit OneAgainstOthers(const std::vector<std::vector<double>>& ratings) {
    for (std::size_t i = 0; i < ratings.size(); ++i) {
      const double sum = std::accumulate(ratings[i].begin(), ratings[i].end(), 0.0);
      for (const double rating : ratings[i]) {
        one_.push_back(rating);
        others_.push_back((sum - rating) / static_cast<double>(ratings[i].size() - 1));
        item_.push_back(i);
      }
    }
  }

  /// A correlation over all of them, items counted as often as they are drawn.
  template <class Correlation>
  Statistic statistic() const {
    return [correlation = Correlation(one_, others_), item = item_](Counts counts) {
      if (counts.empty()) return correlation({});
      std::vector<std::uint32_t> expanded;
      for (const std::size_t i : item) expanded.push_back(counts[i]);
      return correlation(expanded);
    };
  }

 private:
  std::vector<double> one_, others_;
  std::vector<std::size_t> item_;
};

}  // namespace

void add_ceiling(TableBuilder& table, const Samples& items, Protocol protocol) {
  Samples several;
  std::copy_if(items.begin(), items.end(), std::back_inserter(several), [](const auto* item) {
    return std::count_if(item->annotators.begin(), item->annotators.end(),
                         [](const auto& a) { return !a.empty(); }) > 1;
  });
  if (several.empty()) return;
  if (protocol == Protocol::score) {
    std::vector<std::vector<double>> ratings;
    for (const auto* item : several) ratings.push_back(numbers_of(*item));
    table.add("", "annotators: Krippendorff's alpha", "interval", several, IntervalAlpha(ratings));
    if (const auto grades = grades_of(ratings)) {
      table.add("", "annotators: Krippendorff's alpha, ordinal", "ordinal, each score that occurs is a grade", several,
                [table = *grades](Counts counts) { return krippendorff_alpha(table, Level::ordinal, counts); });
    }
    const OneAgainstOthers pairs(ratings);
    const std::string what = "one annotator's score and the mean of the others'";
    table.add("", "annotators: Pearson against the others", what, several, pairs.statistic<Pearson>());
    table.add("", "annotators: Spearman against the others", what, several, pairs.statistic<Spearman>());
    return;
  }
  std::vector<std::string> words;  // the classes are the words that occur
  for (const auto* item : several) {
    for (const auto& word : item->annotators) {
      if (!word.empty() && std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
  }
  RatingTable ratings{words.size(), std::vector<double>(several.size() * words.size())};
  for (std::size_t i = 0; i < several.size(); ++i) {
    for (const auto& word : several[i]->annotators) {
      const auto place = static_cast<std::size_t>(class_of(words, word));
      if (place < words.size()) ++ratings.cells[i * words.size() + place];
    }
  }
  table.add("", "annotators: Krippendorff's alpha", "nominal", several,
            [=](Counts counts) { return krippendorff_alpha(ratings, Level::nominal, counts); });
  if (protocol == Protocol::rank) {
    table.add_mean("", "annotators: normalised Levenshtein", "mean over the pairs of annotators of a sample", several,
                   mean_distance);
    table.lower_is_better();
    return;
  }
  table.add("", "annotators: Fleiss' kappa", "as many annotators for every sample", several,
            [=](Counts counts) { return fleiss_kappa(ratings, counts); });
  table.add_mean("", "annotators: accuracy against the others",
                 "one annotator against the majority of the others, mean; an undecided majority is left out",
                 several, [](const JudgedSample& s) -> std::optional<double> {
                   double same = 0, compared = 0;
                   for (std::size_t a = 0; a < s.annotators.size(); ++a) {
                     const auto others = majority_of(s.annotators, a);
                     if (s.annotators[a].empty() || !others) continue;
                     ++compared;
                     same += s.annotators[a] == *others;
                   }
                   return compared > 0 ? std::optional(same / compared) : std::nullopt;
                 });
}

}  // namespace assize::metrics
