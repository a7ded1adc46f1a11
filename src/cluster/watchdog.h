#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace assize::cluster {

/// Exit code of a rank that its watchdog ends: failed. (75 would mean that somebody asked the run to stop.)
inline constexpr int kHungExit = 1;

/// When a phase of a rank counts as hanging, as a pure state machine: no clock, no thread.
///
/// The limit of a phase is `least_seconds`, or `factor` times the longest phase that has ended, whichever is more:
/// slow machines and long batches make their own limit.
class PhaseWatch {
 public:
  PhaseWatch(double least_seconds, double factor) : least_seconds_(least_seconds), factor_(factor) {}

  /// A phase begins (the one before ends). A clock that jumps back begins it anew.
  void begin(const char* phase, double now_seconds);
  /// Nothing is being done that could hang.
  void rest(double now_seconds) { begin(nullptr, now_seconds); }
  double limit_seconds() const;
  /// One line ("PHASE for 612 s, limit 600 s") if the phase has overrun its limit; else empty.
  std::string overrun(double now_seconds);

 private:
  double least_seconds_, factor_;
  const char* phase_ = nullptr;
  double since_seconds_ = 0;
  double longest_seconds_ = 0;
};

struct WatchdogSettings {
  std::string who;                 ///< "rank 3 (group 1) on host n07", stands in the line
  double least_seconds = 600;
  double factor = 8;
  std::function<double()> clock;   ///< seconds; default the monotonic clock
  /// What happens then; default: the line goes to standard error and the process ends, which ends the MPI world, so
  /// that the batch script starts it again.
  std::function<void(const std::string& line)> bite;
};

/// Watches this rank from a thread of its own: a rank that hangs in a collective, because a peer died in a way that
/// nobody noticed, would wait for ever.
class Watchdog {
 public:
  /// `period_seconds`: how often the thread looks; 0: no thread, `look` is called by hand.
  explicit Watchdog(WatchdogSettings settings, double period_seconds = 1);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// `phase` must be a literal.
  void begin(const char* phase);
  void rest();
  /// Bites if the phase has overrun. Once.
  void look();

 private:
  void watch(double period_seconds);

  WatchdogSettings settings_;
  std::mutex mutex_;
  PhaseWatch watch_;
  bool bitten_ = false;
  bool leaving_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace assize::cluster
