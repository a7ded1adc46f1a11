#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/coordinator.h"
#include "throughput/model_work.h"

namespace assize::throughput {

/// One run that was measured.
struct Measurement {
  std::string name;      ///< "strong 2", "weak 4"; empty for the only run of a job
  std::string series;    ///< "strong", "weak" or empty
  int groups = 1;
  double wall_seconds = 0;   ///< from the first lease to the last judgement
  double first_judgement_seconds = 0;  ///< from the start of the program (later runs: of the run) to the first judgement
  std::uint64_t failed = 0;  ///< calls
  ModelWork work;
  AskedWork asked;
  std::vector<cluster::Progress::Group> group;  ///< [groups]
};

/// Part of a run. Warm-up: until the first judgement of the group has ended. Tail: after at least half of its slots
/// were in use for the last time, to the end of the run. Steady: between.
enum class Phase { whole, warm_up, steady, tail };
const char* name(Phase phase);

enum class Unit { seconds, per_second, share, ratio, bytes, blocks, steps, calls };
/// As in files: "s", "1/s", "" for shares (0 to 1) and ratios, "B", "blocks", "steps", "calls".
const char* name(Unit unit);

/// A measured quantity and what it means, for the report.
struct FigureMeaning {
  const char* key;
  Unit unit;
  const char* label;
  const char* meaning;
};
std::span<const FigureMeaning> figure_meanings();

/// One number; NaN where it is not defined.
struct Figure {
  int group = -1;  ///< -1: all groups
  Phase phase = Phase::whole;
  const FigureMeaning* meaning = nullptr;
  double value = 0;
};

/// Every figure of a run: of all groups, then of each.
std::vector<Figure> figures(const Measurement& run);
/// The value of one; NaN if there is none.
double value_of(std::span<const Figure> figures, int group, Phase phase, const std::string& key);

/// Where the time of all groups went: computing, planning, all else; together 1. Zeros where nothing was measured.
struct TimeShares {
  double computing = 0, planning = 0, other = 0;
};
TimeShares time_shares(const Measurement& run);

/// Steps of all groups by their length.
std::vector<std::uint64_t> step_bins(const Measurement& run);

}  // namespace assize::throughput
