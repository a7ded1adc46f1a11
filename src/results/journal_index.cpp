#include "results/journal_index.h"

#include <algorithm>

#include "base/error.h"
#include "results/frames.h"
#include "results/journal_scan.h"
#include "results/judgement_bytes.h"

namespace assize::results {

namespace {
/// A few judgements: neighbours in the plan are often neighbours in the journal, but not by much.
constexpr std::size_t kFindBytes = std::size_t{16} << 10;
}  // namespace

JournalIndex::JournalIndex(const std::filesystem::path& run_folder) {
  ScanEnd end;
  const RecordSink each = [&](Judgement&&, base::Hash128 call, RecordPlace place) {
    entries_.push_back({call, place.segment, place.offset});
  };
  {
    DigestSet calls;
    summary_ = scan(run_folder, nullptr, calls, each, end);
  }
  seeds_ = std::move(end.seeds);
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.call < b.call; });
  for (const auto& path : list_segments(run_folder)) readers_.push_back(std::make_unique<FrameReader>(path, kFindBytes));
}

JournalIndex::~JournalIndex() = default;

const JournalIndex::Entry* JournalIndex::place_of(base::Hash128 call) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), call,
                                   [](const Entry& entry, const base::Hash128& wanted) { return entry.call < wanted; });
  return at != entries_.end() && at->call == call ? &*at : nullptr;
}

std::optional<Judgement> JournalIndex::find(base::Hash128 call) const {
  const Entry* entry = place_of(call);
  if (!entry) return std::nullopt;
  FrameReader::Frame frame;
  if (!readers_[entry->segment]->frame_at(entry->offset, frame, seeds_[entry->segment])) {
    throw base::Error("the journal changed while it was read; try again", base::ErrorKind::failed);
  }
  return judgement_from(frame.payload);
}

}  // namespace assize::results
