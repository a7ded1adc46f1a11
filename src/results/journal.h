#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "results/digest_set.h"
#include "results/judgement.h"
#include "results/run_lock.h"

namespace assize::results {

/// Version of the journal's layout; a newer one is refused, older ones stay readable. Version 2 adds retractions; a
/// part that has none is still written as version 1.
inline constexpr std::uint32_t kJournalVersion = 2;

/// Damaged stretches that a summary names one by one.
inline constexpr std::size_t kListedStretches = 100;

/// Bytes of the journal that hold no whole record.
struct DamagedStretch {
  std::filesystem::path file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// What a scan found.
struct JournalSummary {
  std::string identity;             ///< text of what the generations depend on, "key: value" lines
  std::uint32_t epoch = 0;          ///< number of writers so far
  std::uint64_t judgements = 0;     ///< distinct calls
  std::uint64_t duplicates = 0;     ///< dropped: the first judgement of a call stands
  std::uint64_t retracted = 0;      ///< judgements that were taken back to be made again
  std::uint64_t bytes = 0;          ///< of all segments
  std::uint64_t damaged_bytes = 0;  ///< unreadable stretches between whole records (their calls are judged again)
  std::uint64_t torn_bytes = 0;     ///< cut-off record at the very end
  std::vector<DamagedStretch> damaged;  ///< where the first kListedStretches of damaged_bytes are
};

using JudgementSink = std::function<void(Judgement&&)>;

/// With which noise a retracted call is sampled again.
enum class Redo : std::uint8_t {
  same_noise = 0,  ///< the generation itself was kept from its end (a failure, a limit that was raised)
  new_noise = 1,   ///< the same noise would give the same text again
};

/// Streams the judgements of a run folder that stand to `sink` (each call once), one record in memory at a time. Read-only;
/// works beside a running writer and on a crashed run. A folder without a journal gives an empty summary.
/// Throws Error when a segment is missing, of a newer version or of another run.
JournalSummary scan_journal(const std::filesystem::path& run_folder, const JudgementSink& sink);

/// How a Journal writes; the defaults are the real system calls.
struct JournalOptions {
  std::uint64_t segment_bytes = std::uint64_t{1} << 30;
  double sync_seconds = 0.1;          ///< a judgement is on disk this long after `append` at the latest (with `tick`)
  std::uint32_t sync_records = 1000;  ///< or this many records
  double lock_retry_seconds = 15;
  std::function<double()> clock;  ///< seconds, only differences count; default: the monotonic clock
  std::function<ssize_t(int, const void*, std::size_t)> write;
  std::function<int(int)> sync;
};

/// The append-only truth of a run: RUN/journal/000000, 000001, … One writer at a time (RunLock).
///
/// Opening reads what is there, cuts a torn tail, starts a new epoch and takes over what leaders had spooled
/// (spool.h). Every write error is an Error of kind
/// `failed` that names the file; what was synced before it is safe, and nothing can be appended after it.
class Journal {
 public:
  /// Creates or continues the journal of `run_folder`. `identity`: "key: value" lines of everything that the
  /// generations depend on; another identity than the journal's is refused with the lines that differ. The one
  /// exception: a larger max_new_tokens retracts the judgements that had hit the old one, and goes on.
  /// `existing` gets every judgement that is there (may be empty).
  Journal(const std::filesystem::path& run_folder, const std::string& identity, JournalOptions options = {},
          const JudgementSink& existing = {});
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Appends a judgement; false (and nothing written) if the call is there already. It counts as safe after the
  /// next sync.
  bool append(const Judgement& judgement);
  /// Syncs if records have waited for sync_seconds; call it whenever there is time.
  void tick();
  /// Writes and syncs everything appended so far.
  void sync();
  /// Syncs and frees the memory of the set of calls; nothing is appended, retracted or asked for after it. The run stays
  /// locked.
  void end();

  /// Takes the judgements of `calls` back (those that are there) and syncs: they can be appended again.
  void retract(const std::vector<base::Hash128>& calls, Redo redo);
  /// Judgements that opening found in the spools of earlier epochs only.
  std::uint64_t from_spools() const { return from_spools_; }
  const std::filesystem::path& folder() const { return folder_; }
  const std::string& identity() const { return identity_; }
  /// Calls that opening took back because max_new_tokens is larger now.
  std::uint64_t longer() const { return longer_; }
  /// How often `call` was retracted to be sampled with new noise.
  std::uint32_t attempt(base::Hash128 call) const;

  bool contains(base::Hash128 call) const { return calls_.contains(call); }
  std::size_t calls() const { return calls_.size(); }
  /// State after opening, with duplicates counted on.
  const JournalSummary& summary() const { return summary_; }

 private:
  void open_for_writing();
  void take_over_spools(const std::unordered_map<base::Hash128, std::uint32_t>& retracted_in, const JudgementSink& sink);
  void start_segment(std::uint32_t index, std::uint32_t version);
  void sync_folder();
  void put_frame(std::uint32_t type, std::span<const std::byte> payload);
  void flush();
  void require_writable() const;
  [[noreturn]] void fail(const std::string& what, int reason);

  std::filesystem::path folder_;
  std::string identity_;       ///< of the segment that is written
  std::uint64_t seed_ = 0;     ///< of its frames
  JournalOptions options_;
  std::unique_ptr<RunLock> lock_;
  DigestSet calls_;
  std::unordered_map<base::Hash128, std::uint32_t> attempts_;
  JournalSummary summary_;
  std::uint64_t longer_ = 0;
  std::uint64_t from_spools_ = 0;
  int fd_ = -1;
  std::uint32_t segment_ = 0;
  std::uint64_t segment_size_ = 0;  ///< bytes written to the segment, buffer not included
  std::vector<std::byte> buffer_;
  std::uint32_t unsynced_records_ = 0;
  double unsynced_since_ = 0;
  bool failed_ = false;
  bool ended_ = false;
};

}  // namespace assize::results
