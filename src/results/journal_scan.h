#pragma once

#include "results/digest_set.h"
#include "results/journal.h"

namespace assize::results {

/// First frame of each segment.
struct JournalHeader {
  std::uint32_t version = kJournalVersion;
  std::uint32_t segment = 0;
  std::string identity;
};
std::vector<std::byte> to_bytes(const JournalHeader& header);

/// Seed of the frames behind the header: another run's records never pass for this one's.
std::uint64_t frame_seed(const std::string& identity, std::uint32_t version = 1);

/// True if a run of identity `was` may be continued as `is`: nothing differs but a larger max_new_tokens.
bool only_longer(const std::string& was, const std::string& is);
/// The max_new_tokens of an identity; 0 if it has none.
std::int64_t max_new_tokens(const std::string& identity);

/// Payload of a retraction frame.
struct Retraction {
  Redo redo = Redo::same_noise;
  std::uint32_t epoch = 0;  ///< in which they were retracted: what an older epoch judged of them does not count
  std::vector<base::Hash128> calls;
};
std::vector<std::byte> to_bytes(const Retraction& retraction);

/// RUN/journal/000000, … in order. Throws Error when one is missing in between.
std::vector<std::filesystem::path> list_segments(const std::filesystem::path& run_folder);
std::filesystem::path segment_path(const std::filesystem::path& run_folder, std::uint32_t index);

/// Where a writer has to go on.
struct ScanEnd {
  std::uint32_t segment = 0;
  std::uint64_t position = 0;  ///< behind the last whole frame of that segment; 0: it has no header yet
  std::uint32_t version = 1;   ///< of that segment
  std::vector<std::uint64_t> seeds;  ///< of the frames of each segment
  std::unordered_map<base::Hash128, std::uint32_t> attempts;  ///< calls that were retracted for new noise, how often
  std::unordered_map<base::Hash128, std::uint32_t> retracted_in;  ///< calls that were retracted, in which epoch last
};

/// Where a record stands.
struct RecordPlace {
  std::uint32_t segment = 0;
  std::uint64_t offset = 0;  ///< of its frame
  auto operator<=>(const RecordPlace&) const = default;
};
using RecordSink = std::function<void(Judgement&&, base::Hash128 call, RecordPlace)>;

/// The scan behind scan_journal, Journal and JournalIndex: fills `calls`, hands each new judgement to `sink`.
/// `expected_identity`: null to accept any; else another one is refused with the lines that differ, unless it is
/// only_longer.
JournalSummary scan(const std::filesystem::path& run_folder, const std::string* expected_identity, DigestSet& calls,
                    const RecordSink& sink, ScanEnd& end);

}  // namespace assize::results
