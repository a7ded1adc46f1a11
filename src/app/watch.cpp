#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/progress_display.h"
#include "app/terminal_text.h"
#include "base/error.h"
#include "base/file.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

constexpr int kStillUnfinished = 75;
/// A running coordinator writes progress.json every second; file servers may show it later.
constexpr double kSilentSeconds = 90;
/// A job may wait for long in the queue; after so long without a sign of life nobody needs to look any more.
constexpr double kPatienceSeconds = 12 * 3600;
constexpr auto kPause = std::chrono::seconds(2);
constexpr double kLineSeconds = 30;

/// How a run stands, as far as its files tell.
struct Sight {
  bool done = false;
  bool started = false;
  double silent_seconds = 0;  ///< since anything was written
  std::string state;
  double calls_done = 0, calls_total = 0, seconds_left = 0, seconds = 0;
  double failed = 0, truncated = 0, output_tokens = 0, earlier = 0;
  std::size_t working = 0, groups = 0;
};

/// Seconds since the last change of a file; negative if it is not there.
double age(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return -1;
  return std::difftime(std::time(nullptr), status.st_mtime);
}

double number(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

Sight look_at(const fs::path& folder) {
  Sight sight;
  std::error_code none;
  sight.done = fs::exists(folder / "DONE", none);
  double newest = -1;
  const auto consider = [&newest](const fs::path& file) {
    if (const double seconds = age(file); seconds >= 0) newest = newest < 0 ? seconds : std::min(newest, seconds);
  };
  consider(folder / "progress.json");
  for (const auto& segment : fs::directory_iterator(folder / "journal", none)) consider(segment.path());
  sight.started = newest >= 0;
  sight.silent_seconds = std::max(0.0, newest);

  nlohmann::json json;
  try {
    json = nlohmann::json::parse(base::read_file(folder / "progress.json", 1 << 26), nullptr, false);
  } catch (const base::Error&) {
    return sight;  // not there yet
  }
  if (!json.is_object()) return sight;
  if (const auto state = json.find("state"); state != json.end() && state->is_string()) sight.state = harmless(*state);
  sight.calls_done = number(json, "calls_done");
  sight.calls_total = number(json, "calls_total");
  sight.seconds = number(json, "seconds");
  sight.seconds_left = number(json, "seconds_left");
  sight.failed = number(json, "failed");
  sight.truncated = number(json, "truncated");
  sight.output_tokens = number(json, "output_tokens");
  sight.earlier = number(json, "calls_done_by_earlier_starts");
  if (const auto groups = json.find("groups"); groups != json.end() && groups->is_array()) {
    sight.groups = groups->size();
    sight.working = static_cast<std::size_t>(std::count_if(groups->begin(), groups->end(), [](const nlohmann::json& group) {
      return group.is_object() && group.value("state", nlohmann::json()) == "working";
    }));
  }
  return sight;
}

std::string describe(const Sight& sight) {
  if (!sight.started) return sight.done ? "done" : "not started yet";
  const double share = sight.calls_total > 0 ? 100 * sight.calls_done / sight.calls_total : 0;
  const std::string counts = fmt::format("{:.0f}/{:.0f} calls ({:.1f} %)  {:.0f} truncated  {:.0f} failed", sight.calls_done,
                                         sight.calls_total, share, sight.truncated, sight.failed);
  if (sight.done) return "done  " + counts;
  if (sight.silent_seconds > kSilentSeconds || sight.state == "ended") {
    return fmt::format("not running: nothing was written for {}; it goes on when Slurm or the same command starts it again  {}",
                       duration_text(sight.silent_seconds), counts);
  }
  const double rate = sight.seconds > 0 ? (sight.calls_done - sight.earlier) / sight.seconds : 0;
  const double tokens = sight.seconds > 0 ? sight.output_tokens / sight.seconds : 0;
  return fmt::format("{}  {}  {:.1f} calls/s  {:.0f} tokens/s  {} of {} groups{}", sight.state, counts, rate, tokens, sight.working,
                     sight.groups, sight.seconds_left > 0 ? "  " + duration_text(sight.seconds_left) + " left" : "");
}

}  // namespace

int watch(const std::vector<std::string>& run_folders, bool once) {
  for (const auto& folder : run_folders) {
    if (fs::exists(folder) && !fs::is_directory(folder)) throw base::Error(fmt::format("{}: is not the folder of a run", folder));
    if (once && !fs::exists(folder)) throw base::Error(fmt::format("{}: there is no such run folder (yet)", folder));
  }
  const bool terminal = isatty(STDOUT_FILENO) == 1;
  const auto start = std::chrono::steady_clock::now();
  double next_lines = 0;
  for (std::size_t shown = 0;;) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::size_t done = 0, silent = 0;
    std::string lines;
    for (const auto& folder : run_folders) {
      const Sight sight = look_at(folder);
      done += sight.done;
      silent += !sight.done && std::min(seconds, sight.started ? sight.silent_seconds : seconds) > kPatienceSeconds;
      lines += fmt::format("{}{}: {}\n", terminal && shown ? "\x1b[2K" : "", harmless(folder), describe(sight));
    }
    const bool all_done = done == run_folders.size(), over = all_done || done + silent == run_folders.size() || once;
    if (terminal && shown) fmt::print("\x1b[{}A", shown);
    if (terminal || over || seconds >= next_lines) {
      fmt::print("{}", lines);
      std::fflush(stdout);
      next_lines = seconds + kLineSeconds;
      shown = run_folders.size();
    }
    if (over) return once || all_done ? 0 : kStillUnfinished;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace assize::app
