#include "results/frames.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

std::uint64_t checksum(std::uint32_t type, std::span<const std::byte> payload, std::uint64_t seed) {
  return base::hash64(payload, seed ^ (static_cast<std::uint64_t>(type) << 32 | payload.size()));
}

[[noreturn]] void fail(const std::string& name, const char* what) {
  throw Error(name + ": " + what + " (" + std::strerror(errno) + ")", ErrorKind::failed);
}

}  // namespace

void append_frame(std::vector<std::byte>& out, FrameType type, std::span<const std::byte> payload,
                  std::uint64_t seed) {
  if (payload.size() > kFrameLimitBytes) {
    throw Error("a record of " + std::to_string(payload.size()) + " bytes is larger than the journal allows",
                ErrorKind::failed);
  }
  base::ByteWriter header;
  header.put(kFrameSync).put(type).put(static_cast<std::uint32_t>(payload.size()));
  header.put(checksum(static_cast<std::uint32_t>(type), payload, seed));
  out.insert(out.end(), header.bytes().begin(), header.bytes().end());
  out.insert(out.end(), payload.begin(), payload.end());
}

FrameReader::FrameReader(const std::filesystem::path& path, std::size_t read_bytes)
    : name_(path.string()), read_bytes_(read_bytes) {
  fd_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail(name_, "cannot be opened");
  struct stat info {};
  if (::fstat(fd_, &info) != 0) {
    ::close(fd_);
    fail(name_, "cannot be examined");
  }
  file_bytes_ = static_cast<std::uint64_t>(info.st_size);
}

FrameReader::~FrameReader() { ::close(fd_); }

/// `bytes` bytes at `offset`, or null if the file ends before them.
const std::byte* FrameReader::ensure(std::uint64_t offset, std::size_t bytes) {
  if (offset + bytes > file_bytes_) return nullptr;
  const bool inside = offset >= window_begin_ && offset + bytes <= window_begin_ + window_.size();
  if (!inside) {
    std::size_t kept = 0;
    if (offset >= window_begin_ && offset < window_begin_ + window_.size()) {
      kept = static_cast<std::size_t>(window_begin_ + window_.size() - offset);
      std::memmove(window_.data(), window_.data() + (window_.size() - kept), kept);
    }
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(std::max(bytes, read_bytes_), file_bytes_ - offset));
    window_.resize(wanted);
    window_begin_ = offset;
    while (kept < wanted) {
      const ssize_t n = ::pread(fd_, window_.data() + kept, wanted - kept, static_cast<off_t>(offset + kept));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(name_, "cannot be read");
      if (n == 0) {  // cut by another process since it was opened
        file_bytes_ = offset + kept;
        window_.resize(kept);
        if (kept < bytes) return nullptr;
        break;
      }
      kept += static_cast<std::size_t>(n);
    }
  }
  return window_.data() + (offset - window_begin_);
}

bool FrameReader::frame_at(std::uint64_t offset, Frame& frame, std::uint64_t seed) {
  const std::byte* header = ensure(offset, kFrameHeaderBytes);
  if (!header) return false;
  base::ByteReader in({header, kFrameHeaderBytes});
  const auto sync = in.get<std::uint32_t>();
  const auto type = in.get<std::uint32_t>();
  const auto size = in.get<std::uint32_t>();
  const auto sum = in.get<std::uint64_t>();
  if (sync != kFrameSync || type < 1 || type > 4 || size > kFrameLimitBytes) return false;
  const std::byte* payload = ensure(offset, kFrameHeaderBytes + size);
  if (!payload) return false;
  frame = {static_cast<FrameType>(type), {payload + kFrameHeaderBytes, size}};
  return checksum(type, frame.payload, seed) == sum;
}

bool FrameReader::next(Frame& frame, std::uint64_t seed) {
  if (frame_at(position_, frame, seed)) {
    position_ += kFrameHeaderBytes + frame.payload.size();
    return true;
  }
  const auto sync = base::ByteWriter().put(kFrameSync).take();
  for (std::uint64_t offset = position_ + 1; offset + kFrameHeaderBytes <= file_bytes_; ++offset) {
    const std::byte* here = ensure(offset, sync.size());
    if (!here) return false;
    if (std::memcmp(here, sync.data(), sync.size()) != 0 || !frame_at(offset, frame, seed)) continue;
    damaged_bytes_ += offset - position_;
    position_ = offset + kFrameHeaderBytes + frame.payload.size();
    return true;
  }
  return false;
}

}  // namespace assize::results
