#include "cluster/watchdog.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/clock.h"

namespace assize::cluster {

void PhaseWatch::begin(const char* phase, double now_seconds) {
  if (phase_) longest_seconds_ = std::max(longest_seconds_, now_seconds - since_seconds_);
  phase_ = phase;
  since_seconds_ = now_seconds;
}

double PhaseWatch::limit_seconds() const { return std::max(least_seconds_, factor_ * longest_seconds_); }

std::string PhaseWatch::overrun(double now_seconds) {
  if (!phase_) return "";
  since_seconds_ = std::min(since_seconds_, now_seconds);
  const double spent = now_seconds - since_seconds_;
  if (spent <= limit_seconds()) return "";
  return std::string(phase_) + " for " + std::to_string(static_cast<long>(spent)) + " s, limit " +
         std::to_string(static_cast<long>(limit_seconds())) + " s";
}

Watchdog::Watchdog(WatchdogSettings settings, double period_seconds)
    : settings_(std::move(settings)), watch_(settings_.least_seconds, settings_.factor) {
  if (!settings_.clock) settings_.clock = base::monotonic_seconds;
  if (!settings_.bite) {
    settings_.bite = [](const std::string& line) {
      std::fprintf(stderr, "assize: %s\n", line.c_str());
      std::fflush(stderr);
      ::_exit(kHungExit);
    };
  }
  if (period_seconds > 0) thread_ = std::thread([this, period_seconds] { watch(period_seconds); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::begin(const char* phase) {
  const std::lock_guard lock(mutex_);
  watch_.begin(phase, settings_.clock());
}

void Watchdog::rest() {
  const std::lock_guard lock(mutex_);
  watch_.rest(settings_.clock());
}

void Watchdog::look() {
  std::string line;
  {
    const std::lock_guard lock(mutex_);
    if (bitten_) return;
    line = watch_.overrun(settings_.clock());
    bitten_ = !line.empty();
  }
  if (!line.empty()) settings_.bite(settings_.who + " hangs: " + line + "; this launch ends, the same command goes on from here");
}

void Watchdog::watch(double period_seconds) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::duration<double>(period_seconds), [this] { return leaving_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

}  // namespace assize::cluster
