#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "results/judgement.h"

namespace assize::results {

/// How a Spool writes; the defaults are the real system calls.
struct SpoolOptions {
  double sync_seconds = 1;        ///< syncs to disk at most this often
  std::function<double()> clock;  ///< seconds, only differences count; default: the monotonic clock
  std::function<ssize_t(int, const void*, std::size_t)> write;
  std::function<int(int)> sync;
};

/// What a group has finished, kept by its leader until the coordinator has it in the journal: a file of its own,
/// RUN/spool/eEPOCH.gGROUP, written before the judgement is sent. A judgement survives the death of any process at
/// once and a loss of power after about a second. The next start takes it into the journal.
class Spool {
 public:
  /// `identity` as the journal's: another run's spool never passes for this one's. Throws Error when the file cannot
  /// be made.
  Spool(const std::filesystem::path& run_folder, const std::string& identity, std::uint32_t epoch, int group,
        SpoolOptions options = {});
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Writes a judgement behind the others, without a sync. Throws Error (kind failed) with the path and the reason.
  void append(const Judgement& judgement);
  /// Syncs if something waits and sync_seconds have passed since the last sync.
  void tick();

 private:
  void write_all(const std::vector<std::byte>& bytes);

  std::string path_;
  std::uint64_t seed_;
  SpoolOptions options_;
  int fd_ = -1;
  bool unsynced_ = false;
  double synced_seconds_ = 0;
};

/// Spool files of a run, sorted by name.
std::vector<std::filesystem::path> list_spools(const std::filesystem::path& run_folder);

/// Streams the whole judgements of one spool to `sink`, with the epoch in which they were made. Damaged and cut-off
/// ones are skipped; a file of another identity gives nothing.
void read_spool(const std::filesystem::path& spool, const std::string& identity,
                const std::function<void(Judgement&&, std::uint32_t epoch)>& sink);

}  // namespace assize::results
