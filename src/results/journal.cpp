#include "results/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "results/frames.h"
#include "results/journal_scan.h"
#include "results/judgement_bytes.h"
#include "results/spool.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

/// Bytes of the frames in `buffer` that end within its first `written` bytes.
std::size_t whole_frames(const std::vector<std::byte>& buffer, std::size_t written) {
  std::size_t end = 0;
  while (end + kFrameHeaderBytes <= written) {
    std::uint32_t payload = 0;
    std::memcpy(&payload, buffer.data() + end + 8, sizeof payload);  // behind sync word and type
    if (end + kFrameHeaderBytes + payload > written) break;
    end += kFrameHeaderBytes + payload;
  }
  return end;
}

}  // namespace

Journal::Journal(const std::filesystem::path& run_folder, const std::string& identity, JournalOptions options,
                 const JudgementSink& existing)
    : folder_(run_folder), options_(std::move(options)) {
  if (!options_.clock) options_.clock = base::monotonic_seconds;
  if (!options_.write) options_.write = ::write;
  if (!options_.sync) options_.sync = ::fdatasync;
  std::error_code code;
  std::filesystem::create_directories(folder_ / "journal", code);
  if (code) throw Error(folder_.string() + ": cannot be made (" + code.message() + "); choose another output folder");
  lock_ = std::make_unique<RunLock>(folder_, RunLockOptions{options_.lock_retry_seconds, 4, {}, {}, {}});

  ScanEnd end;
  std::vector<std::pair<base::Hash128, std::size_t>> truncated;  // with their lengths in tokens
  const RecordSink each = [&](Judgement&& judgement, base::Hash128 call, RecordPlace) {
    if (judgement.status == Status::truncated) truncated.emplace_back(call, judgement.token_ids.size());
    if (existing) existing(std::move(judgement));
  };
  summary_ = scan(folder_, &identity, calls_, each, end);
  segment_ = end.segment;
  segment_size_ = end.position;
  attempts_ = std::move(end.attempts);
  const bool longer = !summary_.identity.empty() && summary_.identity != identity;
  identity_ = longer ? summary_.identity : identity;
  seed_ = frame_seed(identity_, segment_size_ == 0 ? 1 : end.version);
  try {
    open_for_writing();
    take_over_spools(end.retracted_in, [&](Judgement&& judgement) { each(std::move(judgement), base::digest(judgement.key), {}); });
    if (longer) {
      // Retracted first: a crash in between leaves calls to be made again, never a short text in the longer run.
      std::vector<base::Hash128> cut;
      const auto limit = static_cast<std::size_t>(max_new_tokens(identity_));
      for (const auto& [call, tokens] : truncated) {
        if (tokens == 0 || tokens >= limit) cut.push_back(call);
      }
      retract(cut, Redo::same_noise);
      longer_ = cut.size();
      identity_ = summary_.identity = identity;
      start_segment(segment_ + 1, 1);
      sync();
    }
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
    start_segment(segment_, 1);
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

/// Whatever group finished before the crash counts, unless its call was retracted since.
void Journal::take_over_spools(const std::unordered_map<base::Hash128, std::uint32_t>& retracted_in, const JudgementSink& sink) {
  const auto spools = list_spools(folder_);
  for (const auto& spool : spools) {
    read_spool(spool, identity_, [&](Judgement&& judgement, std::uint32_t epoch) {
      const base::Hash128 call = base::digest(judgement.key);
      if (calls_.contains(call)) return;
      if (const auto retracted = retracted_in.find(call); retracted != retracted_in.end() && epoch < retracted->second) return;
      append(judgement);
      ++from_spools_;
      sink(std::move(judgement));
    });
  }
  sync();
  for (const auto& spool : spools) {
    std::error_code code;
    std::filesystem::remove(spool, code);
  }
}

void Journal::start_segment(std::uint32_t index, std::uint32_t version) {
  if (fd_ >= 0) ::close(fd_);
  segment_ = index;
  segment_size_ = 0;
  fd_ = ::open(segment_path(folder_, index).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("cannot be made", errno);
  sync_folder();
  seed_ = frame_seed(identity_, version);
  append_frame(buffer_, FrameType::header, to_bytes(JournalHeader{version, index, identity_}), 0);
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

void Journal::require_writable() const {
  if (failed_) throw Error(folder_.string() + ": the journal could not be written before", ErrorKind::failed);
  if (ended_) throw std::logic_error("a judgement for a journal that has ended");
}

bool Journal::append(const Judgement& judgement) {
  require_writable();
  const base::Hash128 call = base::digest(judgement.key);
  if (calls_.contains(call)) {
    ++summary_.duplicates;
    return false;
  }
  if (segment_size_ + buffer_.size() >= options_.segment_bytes) {
    sync();
    start_segment(segment_ + 1, 1);
  }
  put_frame(static_cast<std::uint32_t>(FrameType::judgement), to_bytes(judgement));
  calls_.insert(call);
  ++summary_.judgements;
  if (unsynced_records_ >= options_.sync_records) sync();
  return true;
}

void Journal::retract(const std::vector<base::Hash128>& calls, Redo redo) {
  require_writable();
  constexpr std::size_t kCallsPerFrame = 4096;
  std::vector<base::Hash128> there;
  for (const base::Hash128& call : calls) {
    if (calls_.erase(call)) there.push_back(call);
  }
  if (there.empty()) return;
  // In a part of its own, whose version keeps programs out that know no retractions.
  sync();
  start_segment(segment_ + 1, kJournalVersion);
  for (std::size_t begin = 0; begin < there.size(); begin += kCallsPerFrame) {
    const auto from = there.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kCallsPerFrame, there.size() - begin));
    put_frame(static_cast<std::uint32_t>(FrameType::retraction), to_bytes(Retraction{redo, summary_.epoch, {from, from + count}}));
  }
  sync();
  summary_.judgements -= there.size();
  summary_.retracted += there.size();
  if (redo == Redo::same_noise) return;
  for (const base::Hash128& call : there) ++attempts_[call];
}

void Journal::end() {
  sync();
  calls_ = {};
  ended_ = true;
}

std::uint32_t Journal::attempt(base::Hash128 call) const {
  const auto found = attempts_.find(call);
  return found == attempts_.end() ? 0 : found->second;
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
  if (lock_->stolen()) {
    failed_ = true;
    throw Error(folder_.string() + ": another process has taken this run over; this one ends", ErrorKind::failed);
  }
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
      // The whole records stay; a half one behind them goes, as the next start would have it.
      if (::ftruncate(fd_, static_cast<off_t>(segment_size_ + whole_frames(buffer_, done))) != 0) failed_ = true;
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
