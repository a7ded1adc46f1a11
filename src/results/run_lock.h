#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace assize::results {

/// How a RunLock works; the defaults are the real ones.
struct RunLockOptions {
  double retry_seconds = 15;  ///< tries for so long: a file server may hand a dead owner's lock on late
  double beat_seconds = 4;    ///< the owner counts up in the file this often; 0: no thread, `beat` is called by hand
  std::function<int(int)> lock;            ///< exclusive flock without waiting; 0 or -1 with errno
  std::function<void(double)> pause;       ///< sleeps
  std::string host;                        ///< of this process
};

/// Keeps a second coordinator out of a run folder: an exclusive `flock` on the file `lock`, whose text names the
/// owner (host, process, time) and counts its heart beats.
///
/// The beats back the flock where a file system has none or keeps it within a node: an owner on another host (or
/// any, where flock is refused) that goes on beating during `retry_seconds` is alive. No clock is compared, so none
/// may be wrong. Released by the destructor, which empties the file, or by the end of the process.
class RunLock {
 public:
  /// Throws Error naming the owner when the lock stays taken, or saying why the folder cannot be locked.
  explicit RunLock(const std::filesystem::path& run_folder, RunLockOptions options = {});
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Writes the next beat, unless another owner stands in the file by now.
  void beat();
  /// True once another owner was seen in the file: this process must not write to the run any more.
  bool stolen() const { return stolen_; }

 private:
  void take(const std::filesystem::path& run_folder);
  void wait_for_silence(const std::filesystem::path& run_folder);
  std::string text() const;
  void write_text() const;

  RunLockOptions options_;
  std::string path_;
  std::string owner_;  ///< first line of the file while it is ours
  int fd_ = -1;
  bool has_flock_ = true;
  std::uint64_t beats_ = 0;
  std::atomic<bool> stolen_{false};
  bool leaving_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace assize::results
