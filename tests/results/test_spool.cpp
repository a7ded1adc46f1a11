#include <cerrno>
#include <fstream>
#include <map>

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "results/journal.h"
#include "results/spool.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "tests/results/judgements.h"

using namespace assize;
using results::Journal;
using results::Judgement;
using results::Spool;
using support::equal;
using support::judgement_number;
using support::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::string kIdentity = "model: 0123\nmax_new_tokens: 8\n";

results::JournalOptions quick() {
  results::JournalOptions options;
  options.lock_retry_seconds = 0;
  options.sync = [](int) { return 0; };
  return options;
}

results::SpoolOptions unsynced() {
  results::SpoolOptions options;
  options.sync = [](int) { return 0; };
  return options;
}

std::vector<Judgement> rows(const fs::path& run) {
  std::vector<Judgement> found;
  results::scan_journal(run, [&](Judgement&& j) { found.push_back(std::move(j)); });
  return found;
}

base::Hash128 call(int i) { return base::digest(judgement_number(i).key); }

}  // namespace

TEST_CASE("what a leader spooled before the crash is in the journal after the next start, once") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    Spool first(run.path(), kIdentity, 1, 0, unsynced()), second(run.path(), kIdentity, 1, 1, unsynced());
    for (int i = 0; i < 6; ++i) (i % 2 ? first : second).append(judgement_number(i));
    journal.append(judgement_number(0));
    journal.append(judgement_number(1));
  }
  std::vector<Judgement> existing;
  {
    Journal journal(run.path(), kIdentity, quick(), [&](Judgement&& j) { existing.push_back(std::move(j)); });
    CHECK(journal.from_spools() == 4);
    CHECK(journal.calls() == 6);
    CHECK(existing.size() == 6);
    CHECK(results::list_spools(run.path()).empty());
  }
  auto found = rows(run.path());
  CHECK(found.size() == 6);
  for (const Judgement& row : found) {
    CHECK(equal(row, judgement_number(std::stoi(row.key.sample_id.substr(row.key.sample_id.find('-') + 1)))));
  }
  Journal again(run.path(), kIdentity, quick());
  CHECK(again.from_spools() == 0);
}

TEST_CASE("a spool cut at any byte gives its whole judgements and no wrong one") {
  TemporaryFolder made;
  { 
    Spool spool(made.path(), kIdentity, 1, 0, unsynced());
    for (int i = 0; i < 4; ++i) spool.append(judgement_number(i));
  }
  const fs::path file = results::list_spools(made.path()).at(0);
  const std::string whole = base::read_file(file);
  std::size_t most = 0;
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    std::ofstream(file, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(cut));
    std::vector<Judgement> found;
    results::read_spool(file, kIdentity, [&](Judgement&& j, std::uint32_t epoch) {
      REQUIRE(epoch == 1);
      found.push_back(std::move(j));
    });
    for (std::size_t i = 0; i < found.size(); ++i) REQUIRE(equal(found[i], judgement_number(static_cast<int>(i))));
    REQUIRE(found.size() >= most);
    most = found.size();
  }
  CHECK(most == 4);
}

TEST_CASE("a spool of another run, or of before a retraction, never becomes a row") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    journal.append(judgement_number(0));
  }
  {
    Spool other(run.path(), "model: other\n", 1, 0, unsynced());
    other.append(judgement_number(5));
  }
  {
    Journal journal(run.path(), kIdentity, quick());  // epoch 2
    CHECK(journal.from_spools() == 0);
    CHECK(results::list_spools(run.path()).empty());
    journal.retract({call(0)}, results::Redo::new_noise);
  }
  {
    Spool zombie(run.path(), kIdentity, 1, 3, unsynced());  // judged before epoch 2 asked for it anew
    zombie.append(judgement_number(0));
    zombie.append(judgement_number(1));
    Spool current(run.path(), kIdentity, 2, 0, unsynced());
    current.append(judgement_number(2));
  }
  Journal journal(run.path(), kIdentity, quick());
  CHECK_FALSE(journal.contains(call(0)));
  CHECK(journal.contains(call(1)));
  CHECK(journal.contains(call(2)));
}

TEST_CASE("spools of a run whose max_new_tokens is raised count as judged under the old limit") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    Spool spool(run.path(), kIdentity, 1, 0, unsynced());
    Judgement cut = judgement_number(0);
    cut.status = results::Status::truncated;
    cut.token_ids.assign(8, 1);
    spool.append(cut);
    spool.append(judgement_number(2));
  }
  Journal journal(run.path(), "model: 0123\nmax_new_tokens: 16\n", quick());
  CHECK(journal.longer() == 1);
  CHECK_FALSE(journal.contains(call(0)));
  CHECK(journal.contains(call(2)));
}

TEST_CASE("a spool syncs at most once a second, whatever the clock does") {
  TemporaryFolder run;
  double now = 50;
  int syncs = 0;
  results::SpoolOptions options;
  options.clock = [&] { return now; };
  options.sync = [&](int) { return ++syncs, 0; };
  Spool spool(run.path(), kIdentity, 1, 0, options);
  for (int i = 0; i < 10; ++i) spool.append(judgement_number(i));
  CHECK(syncs == 0);
  now += 1.5;
  spool.tick();
  CHECK(syncs == 1);
  spool.tick();
  CHECK(syncs == 1);
  spool.append(judgement_number(10));
  CHECK(syncs == 1);
  now -= 40;
  spool.tick();
  CHECK(syncs == 2);
}

TEST_CASE("a spool that cannot be written says so") {
  TemporaryFolder run;
  results::SpoolOptions options = unsynced();
  int writes = 0;
  options.write = [&](int fd, const void* data, std::size_t size) -> ssize_t {
    return ++writes > 2 ? (errno = ENOSPC, -1) : ::write(fd, data, size);
  };
  Spool spool(run.path(), kIdentity, 1, 0, options);
  spool.append(judgement_number(0));
  CHECK_THROWS_WITH(spool.append(judgement_number(1)), Catch::Matchers::Contains("No space left on device"));
  run.write("file", "");
  CHECK_THROWS_AS(Spool(run.path() / "file", kIdentity, 1, 0), base::Error);
}
