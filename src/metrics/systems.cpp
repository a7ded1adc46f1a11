#include <algorithm>
#include <map>

#include "metrics/correlation.h"
#include "metrics/ranking.h"
#include "metrics/statistics.h"
#include "metrics/table_builder.h"

namespace assize::metrics {
namespace {

/// One comparison of two systems, as people and the judge decided it.
struct Game {
  std::size_t first = 0, second = 0;
  double human = 0, judge = 0;  // 1: the first system won, 0: the second, 1/2: a tie
};

double share_of(const std::string& choice) {
  if (choice == "A" || choice == "A>B") return 1;
  return choice == "B" || choice == "B>A" ? 0 : 0.5;
}

WinTable table_of(const std::vector<Game>& games, std::size_t systems, double Game::*result, Counts counts) {
  WinTable table{systems, std::vector<double>(systems * systems)};
  for (std::size_t g = 0; g < games.size(); ++g) {
    const double w = counts.empty() ? 1.0 : static_cast<double>(counts[g]);
    table.wins[games[g].first * systems + games[g].second] += w * (games[g].*result);
    table.wins[games[g].second * systems + games[g].first] += w * (1 - games[g].*result);
  }
  return table;
}

}  // namespace

void add_systems(TableBuilder& table, const Samples& all, verdict::Protocol protocol) {
  std::map<std::string, std::size_t> numbers;
  Samples items;
  for (const auto* item : all) {
    const auto& s = item->systems;
    if (s.size() != 2 || s[0].empty() || s[1].empty() || s[0] == s[1] || item->combined.choice == "wrong")
      continue;
    items.push_back(item);
    numbers[s[0]];
    numbers[s[1]];
  }
  if (items.empty()) return;
  std::vector<std::string> names;
  for (auto& [name, number] : numbers) {
    number = names.size();
    names.push_back(name);
  }
  std::vector<Game> games;
  for (const auto* item : items) {
    games.push_back({numbers.at(item->systems[0]), numbers.at(item->systems[1]), share_of(item->human),
                     share_of(item->combined.choice)});
  }
  const std::size_t count = names.size();
  const char* ties =
      protocol == verdict::Protocol::label ? "a tie of either kind is half a win" : "a tie is half a win";
  const auto add_side = [&](const std::string& who, double Game::*result) {
    for (std::size_t s = 0; s < count; ++s) {
      std::vector<double> won, played;
      for (const auto& game : games) {
        const bool plays = game.first == s || game.second == s;
        played.push_back(plays);
        won.push_back(!plays ? 0 : game.first == s ? game.*result : 1 - game.*result);
      }
      table.add(names[s], "win rate by " + who, ties, items, ratio_statistic(won, played));
      table.add(names[s], "Bradley-Terry strength by " + who, "natural logarithm of the odds, mean 0", items,
                [=](Counts counts) -> Figure {
                  const Strengths strengths = bradley_terry(table_of(games, count, result, counts));
                  return strengths.undefined ? no_figure(strengths.undefined)
                                             : Figure{strengths.values[s], nullptr};
                });
    }
  };
  add_side("people", &Game::human);
  add_side("the judge", &Game::judge);
  if (count < 3) return;
  table.add("", "systems: Spearman of the strengths", "Bradley-Terry strengths by people and by the judge",
            items, [=](Counts counts) -> Figure {
              const Strengths human = bradley_terry(table_of(games, count, &Game::human, counts));
              const Strengths judge = bradley_terry(table_of(games, count, &Game::judge, counts));
              if (human.undefined) return no_figure(human.undefined);
              return judge.undefined ? no_figure(judge.undefined) : spearman(human.values, judge.values);
            });
}

}  // namespace assize::metrics
