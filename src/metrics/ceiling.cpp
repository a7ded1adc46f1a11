#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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

}  // namespace

void add_ceiling(TableBuilder& table, const Samples& items, Protocol protocol) {
  Samples several;
  std::copy_if(items.begin(), items.end(), std::back_inserter(several), [](const auto* item) {
    return std::count_if(item->annotators.begin(), item->annotators.end(),
                         [](const auto& a) { return !a.empty(); }) > 1;
  });
  if (several.empty()) return;
  // The classes are the words that occur; for scores they are numbers, in order.
  std::map<double, std::string> by_number;
  std::vector<std::string> words;
  for (const auto* item : several) {
    for (const auto& word : item->annotators) {
      if (word.empty()) continue;
      double number = 0;
      const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
      if (protocol == Protocol::score &&
          (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size())) {
        throw base::Error(fmt::format("sample '{}': annotator's score '{}' is not a number", item->id, word));
      }
      if (protocol == Protocol::score) by_number.emplace(number, word);
      if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
  }
  std::vector<double> values;
  if (protocol == Protocol::score) {
    words.clear();
    for (const auto& [number, word] : by_number) {
      values.push_back(number);
      words.push_back(word);
    }
  }
  RatingTable ratings{words.size(), std::vector<double>(several.size() * words.size())};
  for (std::size_t i = 0; i < several.size(); ++i) {
    for (const auto& word : several[i]->annotators) {
      const auto place = static_cast<std::size_t>(class_of(words, word));
      if (place < words.size()) ++ratings.cells[i * words.size() + place];
    }
  }
  const Level level = protocol == Protocol::score ? Level::interval : Level::nominal;
  table.add("", "annotators: Krippendorff's alpha", level == Level::interval ? "interval" : "nominal",
            several, [=](Counts counts) { return krippendorff_alpha(ratings, values, level, counts); });
  if (protocol == Protocol::score) return;
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
