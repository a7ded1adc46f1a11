#pragma once

#include <filesystem>

namespace assize::results {

/// Keeps a second coordinator out of a run folder: an exclusive `flock` on the file `lock`, whose text names the
/// owner (host, process, time). Released by the destructor or the end of the process.
class RunLock {
 public:
  /// Tries for `retry_seconds`, since a file server may hand a dead owner's lock on late. Throws Error naming
  /// the owner when the lock stays taken, or saying why the folder cannot be locked.
  explicit RunLock(const std::filesystem::path& run_folder, double retry_seconds = 15);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace assize::results
