#include <fstream>
#include <map>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "results/frames.h"
#include "results/journal.h"
#include "results/journal_index.h"
#include "results/journal_scan.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "tests/results/judgements.h"

using namespace assize;
using results::Journal;
using results::Judgement;
using results::Redo;
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

Judgement with_text(int i, const std::string& text) {
  Judgement j = judgement_number(i);
  j.text = text;
  return j;
}

Judgement truncated_after(int i, int tokens) {
  Judgement j = judgement_number(i);
  j.status = results::Status::truncated;
  j.error.clear();
  j.token_ids.assign(static_cast<std::size_t>(tokens), 1);
  return j;
}

Judgement ended(int i) {
  Judgement j = judgement_number(i);
  j.status = results::Status::ok;
  j.error.clear();
  return j;
}

base::Hash128 call(int i) { return base::digest(judgement_number(i).key); }

/// Texts by sample, each call once.
std::map<std::string, std::string> texts(const fs::path& run, results::JournalSummary* summary = nullptr) {
  std::map<std::string, std::string> found;
  const auto result = results::scan_journal(run, [&](Judgement&& j) { CHECK(found.emplace(j.key.sample_id, j.text).second); });
  if (summary) *summary = result;
  return found;
}

}  // namespace

TEST_CASE("a retracted judgement no longer stands; the one behind it does, also after a restart") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    for (int i = 0; i < 5; ++i) journal.append(with_text(i, "first"));
    journal.retract({call(1), call(3), call(77)}, Redo::new_noise);
    CHECK(journal.calls() == 3);
    CHECK_FALSE(journal.contains(call(1)));
    CHECK(journal.attempt(call(1)) == 1);
    CHECK(journal.attempt(call(0)) == 0);
    CHECK(journal.attempt(call(77)) == 0);  // was not there
    CHECK(journal.append(with_text(1, "second")));
    CHECK_FALSE(journal.append(with_text(0, "second")));
  }
  results::JournalSummary summary;
  auto found = texts(run.path(), &summary);
  CHECK(found.size() == 4);
  CHECK(found.at("sample-1") == "second");
  CHECK(found.at("sample-0") == "first");
  CHECK(summary.retracted == 2);
  CHECK(summary.judgements == 4);
  CHECK(summary.duplicates == 0);
  {
    Journal journal(run.path(), kIdentity, quick());
    CHECK(journal.calls() == 4);
    CHECK_FALSE(journal.contains(call(3)));
    CHECK(journal.attempt(call(3)) == 1);
    journal.retract({call(1)}, Redo::new_noise);
    CHECK(journal.attempt(call(1)) == 2);
    journal.retract({call(0)}, Redo::same_noise);
    CHECK(journal.attempt(call(0)) == 0);
    CHECK(journal.append(with_text(1, "third")));
  }
  found = texts(run.path());
  CHECK(found.size() == 3);
  CHECK(found.at("sample-1") == "third");
  const results::JournalIndex index(run.path());
  CHECK(index.find(call(1))->text == "third");
  CHECK(index.find(call(2))->text == "first");
  CHECK_FALSE(index.contains(call(0)));
}

TEST_CASE("a program that knows no retractions is kept out by the version; a run without any stays version 1") {
  TemporaryFolder run;
  Journal journal(run.path(), kIdentity, quick());
  journal.append(judgement_number(0));
  journal.retract({}, Redo::new_noise);
  journal.retract({call(5)}, Redo::new_noise);
  CHECK(results::list_segments(run.path()).size() == 1);
  journal.retract({call(0)}, Redo::same_noise);
  const auto version_of = [&](std::uint32_t segment) {
    results::FrameReader reader(results::segment_path(run.path(), segment));
    results::FrameReader::Frame frame;
    REQUIRE(reader.next(frame, 0));
    return base::ByteReader(frame.payload).get<std::uint32_t>();
  };
  CHECK(version_of(0) == 1);
  CHECK(version_of(1) == 2);
}

TEST_CASE("a retraction cut at any byte takes back whole frames of calls or nothing, and the run goes on") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    for (int i = 0; i < 4; ++i) journal.append(with_text(i, "first"));
    journal.retract({call(1), call(2)}, Redo::same_noise);
  }
  const fs::path file = results::segment_path(run.path(), 1);
  const std::string whole = base::read_file(file);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    std::ofstream(file, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(cut));
    {
      Journal journal(run.path(), kIdentity, quick());
      REQUIRE(journal.calls() == (cut == whole.size() ? 2 : 4));
      for (int i = 0; i < 4; ++i) journal.append(with_text(i, "second"));
    }
    const auto found = texts(run.path());
    REQUIRE(found.size() == 4);
    REQUIRE(found.at("sample-0") == "first");
    REQUIRE(found.at("sample-1") == (cut == whole.size() ? "second" : "first"));
  }
}

TEST_CASE("a larger max_new_tokens takes back what had hit the old one and keeps the rest") {
  TemporaryFolder run;
  {
    Journal journal(run.path(), kIdentity, quick());
    journal.append(ended(0));
    journal.append(truncated_after(1, 8));
    journal.append(truncated_after(2, 5));  // by the context: a larger limit changes nothing
    journal.append(truncated_after(3, 8));
  }
  const std::string longer = "model: 0123\nmax_new_tokens: 16\n";
  {
    Journal journal(run.path(), longer, quick());
    CHECK(journal.longer() == 2);
    CHECK(journal.calls() == 2);
    CHECK(journal.summary().identity == longer);
    CHECK(journal.append(truncated_after(1, 16)));
  }
  {
    Journal journal(run.path(), longer, quick());
    CHECK(journal.longer() == 0);
    CHECK(journal.calls() == 3);
    CHECK(journal.append(ended(3)));
  }
  results::JournalSummary summary;
  CHECK(texts(run.path(), &summary).size() == 4);
  CHECK(summary.identity == longer);
  CHECK_THROWS_WITH(Journal(run.path(), kIdentity, quick()), Catch::Matchers::Contains("max_new_tokens was 16, is 8"));
  CHECK_THROWS_WITH(Journal(run.path(), "model: other\nmax_new_tokens: 32\n", quick()), Catch::Matchers::Contains("model was 0123"));
  const results::JournalIndex index(run.path());
  CHECK(index.find(call(1))->token_ids.size() == 16);
}

TEST_CASE("an extension that is cut at any byte is made again, and no short text stays") {
  TemporaryFolder run;
  const std::string longer = "model: 0123\nmax_new_tokens: 16\n";
  {
    Journal journal(run.path(), kIdentity, quick());
    journal.append(ended(0));
    journal.append(truncated_after(1, 8));
  }
  const std::string first = base::read_file(results::segment_path(run.path(), 0));
  { Journal journal(run.path(), longer, quick()); }
  std::vector<std::string> parts;
  for (const auto& path : results::list_segments(run.path())) parts.push_back(base::read_file(path));
  REQUIRE(parts.size() == 3);
  for (std::size_t kept = 1; kept <= 3; ++kept) {
    for (std::size_t cut = 0; cut <= parts[kept - 1].size(); ++cut) {
      if (kept == 1 && cut < first.size()) continue;  // the judgements themselves are whole
      fs::remove_all(run.path() / "journal");
      fs::create_directories(run.path() / "journal");
      for (std::size_t i = 0; i < kept; ++i) {
        const std::string& part = parts[i];
        std::ofstream(results::segment_path(run.path(), static_cast<std::uint32_t>(i)), std::ios::binary)
            .write(part.data(), static_cast<std::streamsize>(i + 1 == kept ? cut : part.size()));
      }
      Journal journal(run.path(), longer, quick());
      REQUIRE(journal.contains(call(0)));
      REQUIRE_FALSE(journal.contains(call(1)));
    }
  }
}
