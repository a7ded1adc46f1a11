#include "base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace assize::base {

namespace {
[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(path.string() + ": " + what + " failed (" + std::strerror(errno) + ")", ErrorKind::failed);
}
}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path), temporary_(path.string() + ".tmp") {
  file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file_ < 0) fail(temporary_, "open");
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
  if (buffer_.size() + bytes.size() <= kBufferBytes) {
    buffer_ += bytes;
    return;
  }
  put(buffer_);
  buffer_.clear();
  put(bytes);
}

void AtomicFile::put(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(temporary_, "write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void AtomicFile::finish() {
  put(buffer_);
  buffer_.clear();
  if (::fsync(file_) != 0) fail(temporary_, "fsync");
  ::close(std::exchange(file_, -1));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_, "rename");
  const auto folder = path_.parent_path().empty() ? std::filesystem::path(".") : path_.parent_path();
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    ::fsync(dir);
    ::close(dir);
  }
}

}  // namespace assize::base
