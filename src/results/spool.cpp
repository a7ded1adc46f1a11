#include "results/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "results/frames.h"
#include "results/journal_scan.h"
#include "results/judgement_bytes.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

}  // namespace

Spool::Spool(const std::filesystem::path& run_folder, const std::string& identity, std::uint32_t epoch, int group,
             SpoolOptions options)
    : seed_(frame_seed(identity)), options_(std::move(options)) {
  if (!options_.clock) options_.clock = base::monotonic_seconds;
  if (!options_.write) options_.write = ::write;
  if (!options_.sync) options_.sync = ::fdatasync;
  char name[48];
  std::snprintf(name, sizeof name, "e%06u.g%04d", epoch, group);
  std::error_code code;
  std::filesystem::create_directories(run_folder / "spool", code);
  path_ = (run_folder / "spool" / name).string();
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) throw Error(path_ + ": cannot be made (" + std::strerror(errno) + ")", ErrorKind::failed);
  std::vector<std::byte> frame;
  append_frame(frame, FrameType::epoch, base::ByteWriter().put(epoch).bytes(), seed_);
  try {
    write_all(frame);
  } catch (...) {
    ::close(fd_);
    throw;
  }
  synced_seconds_ = options_.clock();
}

Spool::~Spool() { ::close(fd_); }

void Spool::append(const Judgement& judgement) {
  std::vector<std::byte> frame;
  append_frame(frame, FrameType::judgement, to_bytes(judgement), seed_);
  write_all(frame);
}

void Spool::tick() {
  if (!unsynced_) return;
  const double waited = options_.clock() - synced_seconds_;
  if (waited >= 0 && waited < options_.sync_seconds) return;  // a clock that jumped back must not put it off
  while (options_.sync(fd_) != 0) {
    if (errno != EINTR) throw Error(path_ + ": cannot be synced to disk (" + std::strerror(errno) + ")", ErrorKind::failed);
  }
  unsynced_ = false;
  synced_seconds_ = options_.clock();
}

void Spool::write_all(const std::vector<std::byte>& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = options_.write(fd_, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error(path_ + ": cannot be written (" + std::strerror(n < 0 ? errno : ENOSPC) + ")", ErrorKind::failed);
    done += static_cast<std::size_t>(n);
  }
  unsynced_ = true;
}

std::vector<std::filesystem::path> list_spools(const std::filesystem::path& run_folder) {
  std::vector<std::filesystem::path> paths;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(run_folder / "spool", code)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

void read_spool(const std::filesystem::path& spool, const std::string& identity,
                const std::function<void(Judgement&&, std::uint32_t epoch)>& sink) {
  FrameReader reader(spool);
  FrameReader::Frame frame;
  const std::uint64_t seed = frame_seed(identity);
  std::uint32_t epoch = 0;
  while (reader.next(frame, seed)) {
    try {
      if (frame.type == FrameType::epoch) epoch = base::ByteReader(frame.payload).get<std::uint32_t>();
      if (frame.type == FrameType::judgement) sink(judgement_from(frame.payload), epoch);
    } catch (const Error& error) {
      throw Error(spool.string() + ": " + error.what() + "; use a newer assize, or move this file away", ErrorKind::failed);
    }
  }
}

}  // namespace assize::results
