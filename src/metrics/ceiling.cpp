#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/error.h"
#include "metrics/categorical.h"
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
