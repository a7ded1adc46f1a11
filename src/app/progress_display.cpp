#include "app/progress_display.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace assize::app {

namespace {

/// Seconds to the end from the remaining cost; negative if unknown.
double remaining_seconds(const cluster::Progress& progress) {
  if (progress.cost_done <= 0 || progress.seconds <= 0) return -1;
  return (progress.cost_total - progress.cost_done) * progress.seconds / progress.cost_done;
}

const char* state_name(cluster::Progress::State state) {
  switch (state) {
    case cluster::Progress::State::waiting_for_groups: return "loading the judge";
    case cluster::Progress::State::running: return "judging";
    case cluster::Progress::State::draining: return "stopping: running calls may end";
    case cluster::Progress::State::ended: return "ended";
  }
  return "";
}

double rate(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

ProgressDisplay::ProgressDisplay(std::filesystem::path run_folder, std::uint64_t already_done)
    : folder_(std::move(run_folder)), already_done_(already_done), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressDisplay::update(const cluster::Progress& progress) {
  if (progress.seconds >= next_file_seconds_) {
    next_file_seconds_ = progress.seconds + 1;
    write_file(progress);
  }
  if (progress.seconds >= next_show_seconds_) {
    next_show_seconds_ = progress.seconds + (terminal_ ? 0.2 : 30);
    show(progress);
  }
}

void ProgressDisplay::finish(const cluster::Progress& progress) {
  write_file(progress);
  show(progress);
}

namespace {
/// False where a line would wait for a reader that does not read, or end the run because there is none.
bool somebody_reads_stderr() {
  pollfd stderr_now{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&stderr_now, 1, 0) == 1 && (stderr_now.revents & (POLLERR | POLLNVAL)) == 0;
}
}  // namespace

void ProgressDisplay::show(const cluster::Progress& progress) {
  if (!somebody_reads_stderr()) return;
  const std::uint64_t done = already_done_ + progress.calls_done, total = already_done_ + progress.calls_total;
  const double left = remaining_seconds(progress);
  const std::string counts =
      fmt::format("{}/{} calls  {:.1f}/s  {:.0f} tokens/s  {} truncated  {} failed", done, total,
                  rate(static_cast<double>(progress.calls_done), progress.seconds),
                  rate(static_cast<double>(progress.output_tokens), progress.seconds), progress.truncated, progress.failed);
  const std::string eta = progress.state == cluster::Progress::State::running && left >= 0
                              ? fmt::format("  {} left", duration_text(left)) : "";
  if (!terminal_) {
    fmt::print(stderr, "{}: {}{}\n", state_name(progress.state), counts, eta);
    return;
  }
  if (lines_shown_) fmt::print(stderr, "\x1b[{}A", lines_shown_);
  const double share = total ? static_cast<double>(done) / static_cast<double>(total) : 1;
  const int filled = static_cast<int>(share * 40);
  fmt::print(stderr, "\x1b[2K[{:=<{}}{: <{}}] {:5.1f} %  {}{}\n\x1b[2K{}\n", "", filled, "", 40 - filled, 100 * share,
             state_name(progress.state), eta, counts);
  lines_shown_ = 2;
}

void ProgressDisplay::write_file(const cluster::Progress& progress) {
  nlohmann::ordered_json json;
  json["state"] = state_name(progress.state);
  json["seconds"] = progress.seconds;
  json["calls_done"] = already_done_ + progress.calls_done;
  json["calls_total"] = already_done_ + progress.calls_total;
  json["calls_done_by_earlier_starts"] = already_done_;
  json["calls_leased"] = progress.calls_leased;
  json["cost_done"] = progress.cost_done;
  json["cost_total"] = progress.cost_total;
  json["seconds_left"] = std::max(0.0, remaining_seconds(progress));
  json["failed"] = progress.failed;
  json["truncated"] = progress.truncated;
  json["dropped"] = progress.dropped;
  json["output_tokens"] = progress.output_tokens;
  for (const auto& group : progress.groups) {
    json["groups"].push_back({{"about", group.about},
                              {"state", group.lost ? "lost" : group.joined ? "working" : "loading"},
                              {"output_tokens", group.counters.now.engine.output_tokens},
                              {"prompt_tokens_asked", group.counters.now.engine.prompt_tokens_asked},
                              {"prompt_tokens_computed", group.counters.now.engine.prompt_tokens_computed},
                              {"unfinished_calls", group.counters.unfinished_calls}});
  }
  try {
    base::write_file_atomically(folder_ / "progress.json", json.dump(1) + "\n");
  } catch (const base::Error& error) {
    // The journal is what counts; it says itself when it cannot be written.
    if (!file_failed_) base::log(base::LogLevel::warning, std::string(error.what()) + "; progress is shown here only");
    file_failed_ = true;
  }
}

}  // namespace assize::app
