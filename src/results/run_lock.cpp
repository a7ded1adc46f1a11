#include "results/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <random>

#include "base/clock.h"
#include "base/error.h"

namespace assize::results {

namespace {

using base::Error;

constexpr double kPauseSeconds = 0.25;
constexpr double kRaceSeconds = 1;  ///< without flock: two that start at once see each other after this

std::string host_name() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  return host;
}

/// One line that no other process writes.
std::string owner_text(const std::string& host) {
  return "host " + host + ", process " + std::to_string(::getpid()) + ", since " + base::utc_now() + ", " +
         std::to_string(std::random_device{}());
}

/// The file as it is now, opened anew, since network file systems show another node's writes only then.
std::string current_text(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char text[1024] = {};
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  ::close(fd);
  return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// "host n1, process 7, since …" of an owner's line, without what only makes it unique.
std::string shown(const std::string& text) {
  const std::string line = first_line(text);
  return line.substr(0, line.rfind(", "));
}

Error taken(const std::filesystem::path& run_folder, const std::string& owner) {
  return Error(run_folder.string() + ": another process works on this run (" + shown(owner) +
               "); wait for it, or choose another output");
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& run_folder, RunLockOptions options)
    : options_(std::move(options)), path_((run_folder / "lock").string()) {
  if (!options_.lock) options_.lock = [](int fd) { return ::flock(fd, LOCK_EX | LOCK_NB); };
  if (!options_.pause) {
    options_.pause = [](double seconds) {
      const timespec pause{static_cast<std::time_t>(seconds), static_cast<long>((seconds - static_cast<double>(static_cast<long>(seconds))) * 1e9)};
      ::nanosleep(&pause, nullptr);
    };
  }
  if (options_.host.empty()) options_.host = host_name();
  owner_ = owner_text(options_.host);
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) throw Error(path_ + ": cannot be opened (" + std::strerror(errno) + "); choose an output folder that can be written");
  try {
    take(run_folder);
    wait_for_silence(run_folder);
    write_text();
    if (!has_flock_) {
      options_.pause(kRaceSeconds);
      if (const std::string text = current_text(path_); first_line(text) != owner_) throw taken(run_folder, text);
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
  if (options_.beat_seconds <= 0) return;
  thread_ = std::thread([this] {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::duration<double>(options_.beat_seconds), [this] { return leaving_; })) beat();
  });
}

RunLock::~RunLock() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  // An empty file tells the next owner that nobody is left, on whatever host.
  if (!stolen_ && first_line(current_text(path_)) == owner_ && ::ftruncate(fd_, 0) != 0) stolen_ = true;
  ::close(fd_);
}

/// The flock itself, where there is one.
void RunLock::take(const std::filesystem::path& run_folder) {
  double left = options_.retry_seconds;
  while (options_.lock(fd_) != 0) {
    const int reason = errno;
    if (reason == EINTR) continue;
    if (reason == EWOULDBLOCK && left > 0) {
      options_.pause(kPauseSeconds);
      left -= kPauseSeconds;
      continue;
    }
    if (reason == EWOULDBLOCK) throw taken(run_folder, current_text(path_));
    if (reason == ENOLCK || reason == ENOSYS || reason == EOPNOTSUPP || reason == EINVAL) {
      has_flock_ = false;
      return;
    }
    throw Error(path_ + ": cannot be locked (" + std::strerror(reason) + "); put the run folder on another file system");
  }
}

/// An owner in the file whose death the flock has not shown must be silent for as long as we would have retried.
void RunLock::wait_for_silence(const std::filesystem::path& run_folder) {
  const std::string before = current_text(path_);
  if (before.empty()) return;
  const bool same_host = before.starts_with("host " + options_.host + ",");
  if (has_flock_ && same_host) return;
  for (double waited = 0; waited < options_.retry_seconds; waited += kPauseSeconds) {
    options_.pause(kPauseSeconds);
    const std::string now = current_text(path_);
    if (now.empty()) return;
    if (now != before) throw taken(run_folder, now);
  }
}

void RunLock::beat() {
  if (stolen_) return;
  if (first_line(current_text(path_)) != owner_) {
    stolen_ = true;
    return;
  }
  ++beats_;
  write_text();
}

std::string RunLock::text() const { return owner_ + "\nbeat " + std::to_string(beats_) + "\n"; }

void RunLock::write_text() const {
  // A full disk must not keep a run from being continued and drained: then the flock alone counts.
  const std::string contents = text();
  if (::pwrite(fd_, contents.data(), contents.size(), 0) < 0) return;
  if (::ftruncate(fd_, static_cast<off_t>(contents.size())) != 0) return;
  ::fdatasync(fd_);
}

}  // namespace assize::results
