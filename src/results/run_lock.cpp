#include "results/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"

namespace assize::results {

namespace {

std::string owner_text() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  char when[64] = {};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return "host " + std::string(host) + ", process " + std::to_string(::getpid()) + ", since " + when;
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& run_folder, double retry_seconds) {
  const std::string path = (run_folder / "lock").string();
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    throw base::Error(path + ": cannot be opened (" + std::strerror(errno) + "); choose an output folder that can be written");
  }
  constexpr double kPauseSeconds = 0.25;
  while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (reason == EINTR) continue;
    if (reason == EWOULDBLOCK && retry_seconds > 0) {
      const timespec pause{0, static_cast<long>(kPauseSeconds * 1e9)};
      ::nanosleep(&pause, nullptr);
      retry_seconds -= kPauseSeconds;
      continue;
    }
    char owner[512] = {};
    const ssize_t size = ::pread(fd_, owner, sizeof owner - 1, 0);
    ::close(fd_);
    if (reason == EWOULDBLOCK) {
      throw base::Error(run_folder.string() + ": another process works on this run (" +
                        std::string(owner, size > 0 ? static_cast<std::size_t>(size) : 0) +
                        "); wait for it, or choose another output");
    }
    throw base::Error(path + ": cannot be locked (" + std::strerror(reason) +
                      "); put the run folder on a file system with flock");
  }
  const std::string owner = owner_text();
  // Only a note for people: a full disk must not keep a run from being continued and drained.
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, owner.data(), owner.size(), 0) < 0) return;
}

RunLock::~RunLock() { ::close(fd_); }

}  // namespace assize::results
