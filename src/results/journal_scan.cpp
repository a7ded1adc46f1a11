#include "results/journal_scan.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "results/frames.h"
#include "results/judgement_bytes.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

JournalHeader header_from(std::span<const std::byte> bytes, const std::string& file) {
  base::ByteReader in(bytes);
  JournalHeader header;
  header.version = in.get<std::uint32_t>();
  if (header.version > kJournalVersion) {
    throw Error(file + ": journal of version " + std::to_string(header.version) + ", this program knows up to " +
                std::to_string(kJournalVersion) + "; use a newer assize");
  }
  header.segment = in.get<std::uint32_t>();
  header.identity = in.text();
  return header;
}

std::map<std::string, std::string> lines_of(const std::string& identity) {
  std::map<std::string, std::string> lines;
  std::size_t begin = 0;
  while (begin < identity.size()) {
    const std::size_t end = std::min(identity.find('\n', begin), identity.size());
    const std::string line = identity.substr(begin, end - begin);
    const std::size_t colon = line.find(": ");
    if (!line.empty()) lines[line.substr(0, colon)] = colon == std::string::npos ? "" : line.substr(colon + 2);
    begin = end + 1;
  }
  return lines;
}

/// "a was 1, is 2; b was 3, is absent": what differs between two identities.
std::string describe_difference(const std::string& was, const std::string& is) {
  const auto before = lines_of(was);
  const auto after = lines_of(is);
  std::string text;
  const auto add = [&](const std::string& key, const std::string& old_value, const std::string& new_value) {
    text.append(text.empty() ? "" : "; ").append(key).append(" was ").append(old_value).append(", is ").append(new_value);
  };
  for (const auto& [key, value] : before) {
    const auto found = after.find(key);
    if (found == after.end()) {
      add(key, value, "absent");
    } else if (found->second != value) {
      add(key, value, found->second);
    }
  }
  for (const auto& [key, value] : after) {
    if (!before.contains(key)) add(key, "absent", value);
  }
  return text;
}

Retraction retraction_from(std::span<const std::byte> bytes, const std::string& file) {
  try {
    base::ByteReader in(bytes);
    Retraction retraction;
    const auto redo = in.get<std::uint8_t>();
    if (redo > static_cast<std::uint8_t>(Redo::new_noise)) throw Error("unknown kind");
    retraction.redo = static_cast<Redo>(redo);
    retraction.epoch = in.get<std::uint32_t>();
    const auto halves = in.values<std::uint64_t>();
    if (halves.size() % 2 != 0 || !in.at_end()) throw Error("wrong length");
    for (std::size_t i = 0; i < halves.size(); i += 2) retraction.calls.push_back({halves[i], halves[i + 1]});
    return retraction;
  } catch (const Error& error) {
    throw Error(file + ": a retraction cannot be read (" + error.what() + "); use a newer assize, or start over with --fresh");
  }
}

/// The header at the start of a segment; nothing if there is no whole one.
std::optional<JournalHeader> read_header(const std::filesystem::path& path) {
  FrameReader reader(path);
  FrameReader::Frame frame;
  if (!reader.frame_at(0, frame, 0) || frame.type != FrameType::header) return std::nullopt;
  return header_from(frame.payload, path.string());
}

/// Where a call was retracted last: no judgement of it before that place stands.
using RetractedUntil = std::unordered_map<base::Hash128, RecordPlace>;

/// Reads the retractions of the segments that can have them, so that one pass over the judgements tells which stand.
RetractedUntil read_retractions(const std::vector<std::filesystem::path>& paths, ScanEnd& end) {
  RetractedUntil until;
  for (std::size_t index = 0; index < paths.size(); ++index) {
    const auto header = read_header(paths[index]);
    if (!header || header->version < 2) continue;
    FrameReader reader(paths[index]);
    FrameReader::Frame frame;
    if (!reader.next(frame, 0)) continue;
    const std::uint64_t seed = frame_seed(header->identity, header->version);
    while (reader.next(frame, seed)) {
      if (frame.type != FrameType::retraction) continue;
      const Retraction retraction = retraction_from(frame.payload, paths[index].string());
      for (const base::Hash128& call : retraction.calls) {
        until[call] = {static_cast<std::uint32_t>(index), reader.position()};
        end.retracted_in[call] = retraction.epoch;
        if (retraction.redo == Redo::new_noise) ++end.attempts[call];
      }
    }
  }
  return until;
}

/// The newest identity decides, before anything long is read.
void refuse_other_identity(const std::filesystem::path& run_folder, const std::vector<std::filesystem::path>& paths,
                           const std::string& expected) {
  for (auto path = paths.rbegin(); path != paths.rend(); ++path) {
    const auto header = read_header(*path);
    if (!header) continue;
    if (header->identity == expected || only_longer(header->identity, expected)) return;
    throw Error(run_folder.string() + ": this run was made with other settings: " + describe_difference(header->identity, expected) +
                "; start beside it with --set output=" + run_folder.string() + "-2, or anew with --fresh, which sets this run aside");
  }
}

/// True if the file can be the start of a segment that was never finished: header and first record are written
/// at once, so a second sync word means that there was more.
bool is_torn_start(const std::filesystem::path& path) {
  const std::string contents = base::read_file(path);
  const std::uint32_t sync = kFrameSync;
  return contents.find(std::string(reinterpret_cast<const char*>(&sync), sizeof sync), 1) == std::string::npos;
}

/// A record with a right checksum that cannot be read was not written by this program.
Judgement read_judgement(std::span<const std::byte> payload, const std::string& file, std::uint64_t end) {
  try {
    return judgement_from(payload);
  } catch (const Error& error) {
    throw Error(file + ": record that ends at byte " + std::to_string(end) + ": " + error.what() +
                "; use a newer assize, or start over with --fresh");
  }
}

}  // namespace

std::vector<std::byte> to_bytes(const JournalHeader& header) {
  return base::ByteWriter().put(header.version).put(header.segment).put(header.identity).take();
}

std::uint64_t frame_seed(const std::string& identity, std::uint32_t version) { return base::hash64(identity, version); }

std::int64_t max_new_tokens(const std::string& identity) {
  const auto lines = lines_of(identity);
  const auto found = lines.find("max_new_tokens");
  return found == lines.end() ? 0 : std::atoll(found->second.c_str());
}

bool only_longer(const std::string& was, const std::string& is) {
  auto before = lines_of(was), after = lines_of(is);
  before.erase("max_new_tokens");
  after.erase("max_new_tokens");
  return before == after && max_new_tokens(was) > 0 && max_new_tokens(is) > max_new_tokens(was);
}

std::vector<std::byte> to_bytes(const Retraction& retraction) {
  std::vector<std::uint64_t> halves;
  for (const base::Hash128& call : retraction.calls) {
    halves.push_back(call.low);
    halves.push_back(call.high);
  }
  return base::ByteWriter().put(static_cast<std::uint8_t>(retraction.redo)).put(retraction.epoch).put(halves).take();
}

std::filesystem::path segment_path(const std::filesystem::path& run_folder, std::uint32_t index) {
  char name[16];
  std::snprintf(name, sizeof name, "%06u", index);
  return run_folder / "journal" / name;
}

std::vector<std::filesystem::path> list_segments(const std::filesystem::path& run_folder) {
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path folder = run_folder / "journal";
  if (!std::filesystem::is_directory(folder)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.size() >= 6 && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (paths[i] != segment_path(run_folder, static_cast<std::uint32_t>(i))) {
      throw Error(segment_path(run_folder, static_cast<std::uint32_t>(i)).string() +
                  ": this part of the journal is missing; put it back, or start over with --fresh");
    }
  }
  return paths;
}

JournalSummary scan(const std::filesystem::path& run_folder, const std::string* expected_identity, DigestSet& calls,
                    const RecordSink& sink, ScanEnd& end) {
  JournalSummary summary;
  const auto paths = list_segments(run_folder);
  end = {};
  if (expected_identity) refuse_other_identity(run_folder, paths, *expected_identity);
  const RetractedUntil retracted_until = read_retractions(paths, end);
  for (std::size_t index = 0; index < paths.size(); ++index) {
    const std::string file = paths[index].string();
    const bool last = index + 1 == paths.size();
    FrameReader reader(paths[index]);
    FrameReader::Frame frame;
    summary.bytes += reader.file_bytes();
    end.segment = static_cast<std::uint32_t>(index);
    end.position = 0;
    end.seeds.push_back(0);

    const bool has_header = reader.next(frame, 0) && frame.type == FrameType::header && reader.damaged_bytes() == 0;
    if (!has_header) {
      if (!last || !is_torn_start(paths[index])) {
        throw Error(file + ": the header of this part of the journal is damaged; start over with --fresh");
      }
      summary.torn_bytes += reader.file_bytes();
      continue;
    }
    const JournalHeader header = header_from(frame.payload, file);
    if (header.segment != index) {
      throw Error(file + ": is part " + std::to_string(header.segment) + " of a journal under another name");
    }
    if (index > 0 && header.identity != summary.identity && !only_longer(summary.identity, header.identity)) {
      throw Error(file + ": belongs to the journal of another run");
    }
    summary.identity = header.identity;
    end.version = header.version;

    const auto note_damage = [&](std::uint64_t offset, std::uint64_t bytes) {
      summary.damaged_bytes += bytes;
      if (bytes > 0 && summary.damaged.size() < kListedStretches) summary.damaged.push_back({paths[index], offset, bytes});
    };
    const std::uint64_t seed = frame_seed(header.identity, header.version);
    end.seeds.back() = seed;
    std::uint64_t behind_last = reader.position(), damaged_before = 0;
    while (reader.next(frame, seed)) {
      note_damage(behind_last, reader.damaged_bytes() - damaged_before);
      behind_last = reader.position();
      damaged_before = reader.damaged_bytes();
      if (frame.type == FrameType::epoch) {
        const auto epoch = base::ByteReader(frame.payload).get<std::uint32_t>();
        if (epoch < summary.epoch) {
          throw Error(file + ": epoch " + std::to_string(epoch) + " follows epoch " + std::to_string(summary.epoch) +
                      ": records of another writer are mixed in; start over with --fresh");
        }
        summary.epoch = epoch;
      } else if (frame.type == FrameType::judgement) {
        Judgement judgement = read_judgement(frame.payload, file, reader.position());
        const base::Hash128 call = base::digest(judgement.key);
        const std::uint64_t frame_bytes = kFrameHeaderBytes + frame.payload.size();
        const RecordPlace place{end.segment, reader.position() - frame_bytes};
        if (const auto until = retracted_until.find(call); until != retracted_until.end() && place < until->second) {
          ++summary.retracted;
          continue;
        }
        if (!calls.insert(call)) {
          ++summary.duplicates;
          continue;
        }
        ++summary.judgements;
        if (sink) sink(std::move(judgement), call, place);
      }
    }
    const std::uint64_t rest = reader.file_bytes() - reader.position();
    if (last) {
      summary.torn_bytes += rest;
    } else {
      note_damage(reader.position(), rest);
    }
    end.position = reader.position();
  }
  return summary;
}

JournalSummary scan_journal(const std::filesystem::path& run_folder, const JudgementSink& sink) {
  DigestSet calls;
  ScanEnd end;
  const RecordSink each = [&](Judgement&& judgement, base::Hash128, RecordPlace) {
    if (sink) sink(std::move(judgement));
  };
  return scan(run_folder, nullptr, calls, each, end);
}

}  // namespace assize::results
