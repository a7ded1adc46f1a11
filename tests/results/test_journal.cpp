#include "results/journal.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/noise.h"
#include "results/frames.h"
#include "results/journal_scan.h"
#include "results/judgement_bytes.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "tests/results/judgements.h"

using namespace assize;
using results::Journal;
using results::Judgement;
using support::equal;
using support::judgement_number;
using support::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::string kIdentity = "model: 0123\nsampling.temperature: 0.6\n";

results::JournalOptions quick() {
  results::JournalOptions options;
  options.lock_retry_seconds = 0;
  options.sync = [](int) { return 0; };  // the tests never lose power
  return options;
}

std::vector<Judgement> read_all(const fs::path& run, results::JournalSummary* summary = nullptr) {
  std::vector<Judgement> rows;
  const auto found = results::scan_journal(run, [&](Judgement&& j) { rows.push_back(std::move(j)); });
  if (summary) *summary = found;
  return rows;
}

void write_file(const fs::path& path, const std::string& contents) {
  std::ofstream(path, std::ios::binary).write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const base::Error& error) {
    return error.what();
  }
  return "";
}

/// True if `rows` are the judgements 0, 1, … in order, without a gap.
bool is_prefix(const std::vector<Judgement>& rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!equal(rows[i], judgement_number(static_cast<int>(i)))) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a judgement survives its bytes") {
  for (int i = 0; i < 40; ++i) {
    const Judgement j = judgement_number(i);
    const auto bytes = results::to_bytes(j);
    CHECK(equal(results::judgement_from(bytes), j));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
      CHECK_THROWS_AS(results::judgement_from(std::span(bytes).first(cut)), base::Error);
    }
  }
  auto bytes = results::to_bytes(judgement_number(1));
  bytes.push_back(std::byte{0});
  CHECK_THROWS_AS(results::judgement_from(bytes), base::Error);
  bytes.pop_back();
  bytes[0] = std::byte{99};
  CHECK_THROWS_AS(results::judgement_from(bytes), base::Error);
}

TEST_CASE("the digest set keeps what was put in") {
  results::DigestSet set;
  CHECK(set.insert({}));
  CHECK_FALSE(set.insert({}));
  for (std::uint64_t i = 1; i <= 5000; ++i) CHECK(set.insert({i << 20, i}));
  for (std::uint64_t i = 1; i <= 5000; ++i) CHECK_FALSE(set.insert({i << 20, i}));
  CHECK(set.size() == 5001);
  CHECK(set.contains({7ull << 20, 7}));
  CHECK_FALSE(set.contains({7ull << 20, 8}));
}

TEST_CASE("the digest set forgets what is erased and nothing else, whatever collides") {
  results::DigestSet set;
  std::map<std::uint64_t, bool> there;
  for (std::uint64_t step = 0; step < 20000; ++step) {
    // Few homes and many digests: long probe sequences, also over the end of the table.
    const std::uint64_t n = base::noise_bits(1, static_cast<std::uint32_t>(step), 0) % 300;
    const base::Hash128 digest{n % 7 == 0 ? n : 58 + n % 6 + ((n / 6) << 20), n + 1};
    if (base::noise_bits(2, static_cast<std::uint32_t>(step), 0) % 2) {
      REQUIRE(set.insert(digest) == !there[n]);
      there[n] = true;
    } else {
      REQUIRE(set.erase(digest) == there[n]);
      there[n] = false;
    }
    REQUIRE(set.contains(digest) == there[n]);
  }
  std::size_t count = 0;
  for (const auto& [n, is] : there) {
    count += is;
    CHECK(set.contains({n % 7 == 0 ? n : 58 + n % 6 + ((n / 6) << 20), n + 1}) == is);
  }
  CHECK(set.size() == count);
  CHECK_FALSE(set.erase({}));
  set.insert({});
  CHECK(set.erase({}));
  CHECK_FALSE(set.contains({}));
}

TEST_CASE("the journal gives back what was appended, in every epoch, each call once") {
  TemporaryFolder run;
  CHECK(read_all(run.path()).empty());
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<Judgement> existing;
    Journal journal(run.path(), kIdentity, quick(), [&](Judgement&& j) { existing.push_back(std::move(j)); });
    CHECK(existing.size() == static_cast<std::size_t>(epoch * 10));
    CHECK(journal.summary().epoch == static_cast<std::uint32_t>(epoch + 1));
    for (int i = 0; i < 10; ++i) {
      const Judgement j = judgement_number(epoch * 10 + i);
      CHECK_FALSE(journal.contains(base::digest(j.key)));
      CHECK(journal.append(j));
      CHECK_FALSE(journal.append(j));
      CHECK(journal.contains(base::digest(j.key)));
    }
    journal.sync();
    CHECK(read_all(run.path()).size() == static_cast<std::size_t>(epoch * 10 + 10));  // beside the open writer
  }
  results::JournalSummary summary;
  const auto rows = read_all(run.path(), &summary);
  CHECK(rows.size() == 30);
  CHECK(is_prefix(rows));
  CHECK(summary.identity == kIdentity);
  CHECK(summary.epoch == 3);
  CHECK(summary.duplicates == 0);
  CHECK(summary.torn_bytes == 0);
  CHECK(summary.damaged_bytes == 0);
}

TEST_CASE("a journal that has ended takes nothing more, and holds the run all the same") {
  TemporaryFolder run;
  Journal journal(run.path(), kIdentity, quick());
  CHECK(journal.append(judgement_number(1)));
  journal.end();
  CHECK_THROWS_WITH(journal.append(judgement_number(2)), Catch::Matchers::Contains("has ended"));
  CHECK_THROWS_WITH(Journal(run.path(), kIdentity, quick()), Catch::Matchers::Contains("another"));
  CHECK(read_all(run.path()).size() == 1);
}

TEST_CASE("a journal cut at any byte gives the whole records before the cut and can be continued") {
  TemporaryFolder run;
  constexpr int kRows = 6;
  {
    Journal journal(run.path(), kIdentity, quick());
    for (int i = 0; i < kRows; ++i) journal.append(judgement_number(i));
  }
  const fs::path file = results::segment_path(run.path(), 0);
  const std::string whole = base::read_file(file);
  std::size_t most = 0;
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    write_file(file, whole.substr(0, cut));
    const auto rows = read_all(run.path());
    REQUIRE(is_prefix(rows));
    REQUIRE(rows.size() >= most);  // a longer file never gives less
    most = rows.size();
    {
      Journal journal(run.path(), kIdentity, quick());
      REQUIRE(journal.calls() == rows.size());
      for (int i = static_cast<int>(rows.size()); i < kRows; ++i) REQUIRE(journal.append(judgement_number(i)));
    }
    results::JournalSummary summary;
    const auto after = read_all(run.path(), &summary);
    REQUIRE(after.size() == kRows);
    REQUIRE(is_prefix(after));
    REQUIRE(summary.torn_bytes == 0);
    REQUIRE(summary.damaged_bytes == 0);
  }
  CHECK(most == kRows);
}

TEST_CASE("a flipped bit loses at most its own record, or the journal is refused") {
  TemporaryFolder run;
  constexpr int kRows = 4;
  {
    Journal journal(run.path(), kIdentity, quick());
    for (int i = 0; i < kRows; ++i) journal.append(judgement_number(i));
  }
  std::map<std::string, Judgement> expected;
  for (int i = 0; i < kRows; ++i) expected[judgement_number(i).key.sample_id] = judgement_number(i);
  const fs::path file = results::segment_path(run.path(), 0);
  const std::string whole = base::read_file(file);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    write_file(file, flipped);
    try {
      const auto rows = read_all(run.path());
      REQUIRE(rows.size() >= kRows - 1);
      for (const Judgement& row : rows) REQUIRE(equal(row, expected.at(row.key.sample_id)));
    } catch (const base::Error& error) {
      ++refused;
      REQUIRE(std::string(error.what()).find("header") != std::string::npos);
    }
  }
  CHECK(refused > 0);
  CHECK(refused < 20 * 8 + 8 * (kIdentity.size() + 12) + 1);  // the header frame only
}

TEST_CASE("a damaged stretch costs only the records in it") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    for (int i = 0; i < 20; ++i) journal.append(judgement_number(i));
  }
  const fs::path file = results::segment_path(run.path(), 0);
  std::string contents = base::read_file(file);
  const std::size_t middle = contents.find("text of 10<");
  for (std::size_t i = middle; i < middle + 300; ++i) contents[i] = '\0';
  write_file(file, contents);
  results::JournalSummary summary;
  const auto rows = read_all(run.path(), &summary);
  CHECK(rows.size() < 20);
  CHECK(rows.size() >= 16);
  CHECK(summary.damaged_bytes > 300);
  {
    Journal journal(run.path(), kIdentity, quick());
    CHECK(journal.calls() == rows.size());
    for (int i = 0; i < 20; ++i) journal.append(judgement_number(i));
  }
  CHECK(read_all(run.path()).size() == 20);
}

TEST_CASE("duplicated frames are dropped and counted, the first stands") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    journal.append(judgement_number(0));
    journal.append(judgement_number(1));
  }
  const fs::path file = results::segment_path(run.path(), 0);
  std::vector<std::byte> more;
  Judgement other = judgement_number(0);
  other.text = "another text for the same call";
  results::append_frame(more, results::FrameType::judgement, results::to_bytes(other), results::frame_seed(kIdentity));
  results::append_frame(more, results::FrameType::judgement, results::to_bytes(judgement_number(1)),
                        results::frame_seed(kIdentity));
  // A frame of another run has another seed: never a row here.
  results::append_frame(more, results::FrameType::judgement, results::to_bytes(judgement_number(2)),
                        results::frame_seed("model: other\n"));
  std::string contents = base::read_file(file);
  contents.append(reinterpret_cast<const char*>(more.data()), more.size());
  write_file(file, contents);
  results::JournalSummary summary;
  const auto rows = read_all(run.path(), &summary);
  CHECK(rows.size() == 2);
  CHECK(is_prefix(rows));
  CHECK(summary.duplicates == 2);
  CHECK(summary.torn_bytes > 0);
}

TEST_CASE("another identity is refused with what differs") {
  TemporaryFolder run;
  { Journal journal(run.path(), kIdentity, quick()); }
  const std::string message = message_of(
      [&] { Journal journal(run.path(), "model: 0123\nsampling.temperature: 0.7\nprompt: p\n", quick()); });
  CHECK(message.find("sampling.temperature was 0.6, is 0.7") != std::string::npos);
  CHECK(message.find("prompt was absent, is p") != std::string::npos);
  CHECK(message.find("model") == std::string::npos);
  CHECK(message.find("--fresh") != std::string::npos);
  Journal again(run.path(), kIdentity, quick());
  CHECK(again.summary().epoch == 2);
}

TEST_CASE("an older epoch behind a newer one is refused") {
  TemporaryFolder run;
  { Journal journal(run.path(), kIdentity, quick()); }
  { Journal journal(run.path(), kIdentity, quick()); }
  std::vector<std::byte> frame;
  results::append_frame(frame, results::FrameType::epoch, base::ByteWriter().put(std::uint32_t{1}).bytes(),
                        results::frame_seed(kIdentity));
  const fs::path file = results::segment_path(run.path(), 0);
  std::string contents = base::read_file(file);
  contents.append(reinterpret_cast<const char*>(frame.data()), frame.size());
  write_file(file, contents);
  CHECK(message_of([&] { read_all(run.path()); }).find("epoch 1 follows epoch 2") != std::string::npos);
}

TEST_CASE("a newer version is refused") {
  TemporaryFolder run;
  fs::create_directories(run.path() / "journal");
  std::vector<std::byte> frame;
  const results::JournalHeader header{results::kJournalVersion + 1, 0, kIdentity};
  results::append_frame(frame, results::FrameType::header, results::to_bytes(header), 0);
  write_file(results::segment_path(run.path(), 0), {reinterpret_cast<const char*>(frame.data()), frame.size()});
  CHECK(message_of([&] { read_all(run.path()); }).find("use a newer assize") != std::string::npos);
}

TEST_CASE("two openers: the second is refused and told who the owner is") {
  TemporaryFolder run;
  Journal first(run.path(), kIdentity, quick());
  const std::string message = message_of([&] { Journal second(run.path(), kIdentity, quick()); });
  CHECK(message.find("another process works on this run") != std::string::npos);
  CHECK(message.find("process " + std::to_string(::getpid())) != std::string::npos);
}

TEST_CASE("a writer that the lock did not keep out is noticed") {
  TemporaryFolder run;
  Journal journal(run.path(), kIdentity, quick());
  std::ofstream(results::segment_path(run.path(), 0), std::ios::binary | std::ios::app) << "foreign bytes";
  journal.append(judgement_number(0));
  CHECK(message_of([&] { journal.sync(); }).find("another process has written") != std::string::npos);
  CHECK_THROWS_AS(journal.append(judgement_number(1)), base::Error);
}

TEST_CASE("segments are cut at their size and read in order; a missing one is named") {
  TemporaryFolder run;
  results::JournalOptions options = quick();
  options.segment_bytes = 1000;
  {
    Journal journal(run.path(), kIdentity, options);
    for (int i = 0; i < 20; ++i) journal.append(judgement_number(i));
  }
  {
    Journal journal(run.path(), kIdentity, options);
    CHECK(journal.calls() == 20);
    for (int i = 20; i < 40; ++i) journal.append(judgement_number(i));
  }
  CHECK(results::list_segments(run.path()).size() > 4);
  const auto rows = read_all(run.path());
  CHECK(rows.size() == 40);
  CHECK(is_prefix(rows));
  fs::remove(results::segment_path(run.path(), 1));
  CHECK(message_of([&] { read_all(run.path()); }).find("000001: this part of the journal is missing") !=
        std::string::npos);
}

TEST_CASE("syncs are batched by time and by number") {
  TemporaryFolder run;
  double now = 100;
  int syncs = 0;
  results::JournalOptions options = quick();
  options.clock = [&] { return now; };
  options.sync = [&](int) { return ++syncs, 0; };
  options.sync_records = 5;
  Journal journal(run.path(), kIdentity, options);
  syncs = 0;
  journal.append(judgement_number(0));
  journal.tick();
  CHECK(syncs == 0);
  now += 0.11;
  journal.tick();
  CHECK(syncs == 1);
  CHECK(read_all(run.path()).size() == 1);
  journal.tick();
  CHECK(syncs == 1);
  for (int i = 1; i <= 5; ++i) journal.append(judgement_number(i));
  CHECK(syncs == 2);
  journal.append(judgement_number(6));
  now -= 50;  // a clock that jumps back must not put the sync off
  journal.tick();
  CHECK(syncs == 3);
}

TEST_CASE("a full disk is a clear error and loses nothing that was synced") {
  TemporaryFolder run;
  std::size_t room = 1500;
  results::JournalOptions options = quick();
  options.write = [&](int fd, const void* data, std::size_t size) -> ssize_t {
    if (room == 0) return errno = ENOSPC, -1;
    const std::size_t part = std::min(size, room);
    room -= part;
    return ::write(fd, data, part);
  };
  std::string message;
  int synced = 0;
  {
    Journal journal(run.path(), kIdentity, options);
    message = message_of([&] {
      for (int i = 0;; ++i) {
        journal.append(judgement_number(i));
        journal.sync();
        synced = i + 1;
      }
    });
    CHECK_THROWS_AS(journal.append(judgement_number(1000)), base::Error);
  }
  CHECK(message.find("No space left on device") != std::string::npos);
  CHECK(message.find("000000") != std::string::npos);
  CHECK(synced > 2);
  results::JournalSummary summary;
  const auto rows = read_all(run.path(), &summary);
  CHECK(static_cast<int>(rows.size()) == synced);
  CHECK(summary.torn_bytes == 0);
  room = 1'000'000;
  Journal journal(run.path(), kIdentity, options);
  for (int i = 0; i < 50; ++i) journal.append(judgement_number(i));
  journal.sync();
  CHECK(read_all(run.path()).size() == 50);
}

TEST_CASE("an I/O error of the sync is a clear error") {
  TemporaryFolder run;
  bool broken = false;
  results::JournalOptions options = quick();
  options.sync = [&](int) { return broken ? (errno = EIO, -1) : 0; };
  Journal journal(run.path(), kIdentity, options);
  journal.append(judgement_number(0));
  broken = true;
  CHECK(message_of([&] { journal.sync(); }).find("Input/output error") != std::string::npos);
  CHECK_THROWS_AS(journal.append(judgement_number(1)), base::Error);
}

TEST_CASE("a real file size limit is met with the same words") {
  TemporaryFolder run;
  Journal journal(run.path(), kIdentity, quick());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto* handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 2000;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string message = message_of([&] {
    for (int i = 0;; ++i) {
      journal.append(judgement_number(i));
      journal.sync();
    }
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  CHECK(message.find("File too large") != std::string::npos);
  CHECK(is_prefix(read_all(run.path())));
}

TEST_CASE("a disk that fills up in the middle of a large write keeps the whole records of it") {
  TemporaryFolder run;
  std::size_t room = 3000;
  results::JournalOptions options = quick();
  options.write = [&](int fd, const void* data, std::size_t size) -> ssize_t {
    if (room == 0) return errno = ENOSPC, -1;
    const std::size_t part = std::min(size, room);
    room -= part;
    return ::write(fd, data, part);
  };
  {
    Journal journal(run.path(), kIdentity, options);
    for (int i = 0; i < 40; ++i) journal.append(judgement_number(i));  // all in one buffer
    CHECK_THROWS_WITH(journal.sync(), Catch::Matchers::Contains("No space left on device"));
  }
  results::JournalSummary summary;
  const auto rows = read_all(run.path(), &summary);
  CHECK(rows.size() > 5);
  CHECK(is_prefix(rows));
  CHECK(summary.torn_bytes == 0);
}
