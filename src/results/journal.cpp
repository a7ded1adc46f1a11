#include "results/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "results/frames.h"
#include "results/journal_scan.h"
#include "results/judgement_bytes.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

double monotonic_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

Journal::Journal(const std::filesystem::path& run_folder, const std::string& identity, JournalOptions options,
                 const JudgementSink& existing)
    : folder_(run_folder), identity_(identity), seed_(frame_seed(identity)), options_(std::move(options)) {
  if (!options_.clock) options_.clock = monotonic_seconds;
  if (!options_.write) options_.write = ::write;
  if (!options_.sync) options_.sync = ::fdatasync;
  std::error_code code;
  std::filesystem::create_directories(folder_ / "journal", code);
  if (code) throw Error(folder_.string() + ": cannot be made (" + code.message() + "); choose another output folder");
  lock_ = std::make_unique<RunLock>(folder_, options_.lock_retry_seconds);

  ScanEnd end;
  const RecordSink each = [&](Judgement&& judgement, base::Hash128, RecordPlace) {
    if (existing) existing(std::move(judgement));
  };
  summary_ = scan(folder_, &identity_, calls_, each, end);
  segment_ = end.segment;
  segment_size_ = end.position;
  try {
    open_for_writing();
  } catch (...) {
    if (fd_ >= 0) ::close(fd_);
    throw;
  }
}

Journal::~Journal() {
  if (fd_ < 0) return;
  try {
    if (!failed_) sync();
  } catch (const Error&) {
    // Whoever needs to know that the last records are safe calls sync() before.
  }
  ::close(fd_);
}

/// Cuts the torn tail of the last segment and writes the marker of a new epoch behind it.
void Journal::open_for_writing() {
  const std::string path = segment_path(folder_, segment_).string();
  if (segment_size_ == 0) {
    start_segment(segment_);
  } else {
    fd_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd_ < 0) fail("cannot be opened for writing", errno);
    if (::ftruncate(fd_, static_cast<off_t>(segment_size_)) != 0) fail("cannot be cut behind its last record", errno);
  }
  summary_.identity = identity_;
  ++summary_.epoch;
  put_frame(static_cast<std::uint32_t>(FrameType::epoch), base::ByteWriter().put(summary_.epoch).bytes());
  sync();
}

void Journal::start_segment(std::uint32_t index) {
  if (fd_ >= 0) ::close(fd_);
  segment_ = index;
  segment_size_ = 0;
  fd_ = ::open(segment_path(folder_, index).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("cannot be made", errno);
  sync_folder();
  append_frame(buffer_, FrameType::header, to_bytes(JournalHeader{kJournalVersion, index, identity_}), 0);
}

/// Makes the name of a new segment as durable as what will be written to it.
void Journal::sync_folder() {
  const int fd = ::open((folder_ / "journal").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  options_.sync(fd);
  ::close(fd);
}

void Journal::put_frame(std::uint32_t type, std::span<const std::byte> payload) {
  if (unsynced_records_++ == 0) unsynced_since_ = options_.clock();
  append_frame(buffer_, static_cast<FrameType>(type), payload, seed_);
  if (buffer_.size() >= kBufferBytes) flush();
}

bool Journal::append(const Judgement& judgement) {
  if (failed_) throw Error(folder_.string() + ": the journal could not be written before", ErrorKind::failed);
  const base::Hash128 call = base::digest(judgement.key);
  if (calls_.contains(call)) {
    ++summary_.duplicates;
    return false;
  }
  if (segment_size_ + buffer_.size() >= options_.segment_bytes) {
    sync();
    start_segment(segment_ + 1);
  }
  put_frame(static_cast<std::uint32_t>(FrameType::judgement), to_bytes(judgement));
  calls_.insert(call);
  ++summary_.judgements;
  if (unsynced_records_ >= options_.sync_records) sync();
  return true;
}

void Journal::tick() {
  if (unsynced_records_ == 0) return;
  const double waited = options_.clock() - unsynced_since_;
  if (waited >= options_.sync_seconds || waited < 0) sync();
}

void Journal::sync() {
  if (unsynced_records_ == 0 && buffer_.empty()) return;
  flush();
  while (options_.sync(fd_) != 0) {
    if (errno != EINTR) fail("cannot be synced to disk", errno);
  }
  unsynced_records_ = 0;
}

void Journal::flush() {
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && static_cast<std::uint64_t>(info.st_size) != segment_size_) {
    failed_ = true;
    throw Error(segment_path(folder_, segment_).string() + ": another process has written to this journal; stop it, then run the same command again",
                ErrorKind::failed);
  }
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = options_.write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int reason = n < 0 ? errno : ENOSPC;
      // Leave no half record behind; the next start would cut it as well.
      if (::ftruncate(fd_, static_cast<off_t>(segment_size_)) != 0) failed_ = true;
      fail("cannot be written", reason);
    }
    done += static_cast<std::size_t>(n);
  }
  segment_size_ += buffer_.size();
  buffer_.clear();
}

void Journal::fail(const std::string& what, int reason) {
  failed_ = true;
  throw Error(segment_path(folder_, segment_).string() + ": " + what + " (" + std::strerror(reason) +
                  "); the judgements before are safe: remove the cause and run the same command again",
              ErrorKind::failed);
}

}  // namespace assize::results
