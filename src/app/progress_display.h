#pragma once

#include <filesystem>
#include <string>

#include "cluster/coordinator.h"

namespace assize::app {

/// Shows how a run stands: on a terminal one live block, else one line every 30 s; and writes progress.json
/// (whole or not at all) at most once a second.
class ProgressDisplay {
 public:
  /// `already_done`: calls that earlier starts have judged.
  ProgressDisplay(std::filesystem::path run_folder, std::uint64_t already_done);
  void update(const cluster::Progress& progress);
  /// The last state, whatever the intervals.
  void finish(const cluster::Progress& progress);

 private:
  void show(const cluster::Progress& progress);
  void write_file(const cluster::Progress& progress);

  std::filesystem::path folder_;
  std::uint64_t already_done_;
  bool terminal_;
  int lines_shown_ = 0;
  double next_show_seconds_ = 0;
  double next_file_seconds_ = 0;
  bool file_failed_ = false;
};

/// "1 h 02 min", "3 min 20 s", "12 s".
std::string duration_text(double seconds);

}  // namespace assize::app
