#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "results/journal.h"

namespace assize::results {

class FrameReader;

/// Finds judgements of a run by their call, whatever the order of their arrival: what compaction and reports
/// read through. Keeps 32 bytes a call in memory, no texts. Read-only; what arrives later is not seen.
class JournalIndex {
 public:
  /// Throws Error as scan_journal does.
  explicit JournalIndex(const std::filesystem::path& run_folder);
  ~JournalIndex();

  const JournalSummary& summary() const { return summary_; }
  bool contains(base::Hash128 call) const { return place_of(call) != nullptr; }
  /// The judgement of `call`, read from disk; nothing if there is none.
  std::optional<Judgement> find(base::Hash128 call) const;

 private:
  struct Entry {
    base::Hash128 call;
    std::uint64_t segment;
    std::uint64_t offset;
  };
  const Entry* place_of(base::Hash128 call) const;

  JournalSummary summary_;
  std::vector<std::uint64_t> seeds_;  ///< of the frames of each segment
  std::deque<Entry> entries_;  ///< sorted by call; a vector that grows would need twice as much for a moment
  std::vector<std::unique_ptr<FrameReader>> readers_;
};

}  // namespace assize::results
