#include <cmath>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "results/journal_index.h"
#include "results/results_reader.h"
#include "results/results_writer.h"
#include "results/schema.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "tests/results/judgements.h"

using namespace assize;
using support::judgement_number;
using support::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const double kNaN = std::numeric_limits<double>::quiet_NaN();

results::FileInfo info_of_run() {
  return {"0.1.0", "2026-01-02T03:04:05Z", "kind: evaluate\n", "model: 0123\n", "0123", 7};
}

/// Samples of two candidates and four judgements each. `shape` changes only what the digest must not see.
void write_run(const fs::path& path, int samples, int shape, const std::string& question = "question ") {
  results::FileInfo info = info_of_run();
  info.created += std::to_string(shape);
  results::ResultsWriter writer(path, info);
  for (int s = 0; s < samples; ++s) {
    results::SampleRow sample;
    sample.suite = "plain";
    sample.id = "sample-" + std::to_string(s);
    sample.cluster = "prompt " + std::to_string(s / 2);
    sample.question = question + std::to_string(s) + " \xE2\x82\xAC";
    sample.human_choice = s % 2 ? "A" : "";
    sample.human_value = s % 2 ? s : kNaN;
    sample.choice = s % 3 ? "B" : "tie";
    sample.scores = s % 2 ? std::vector<double>{1.5, s / 3.0} : std::vector<double>{};
    sample.orders = 4;
    const std::int64_t row = writer.samples();
    CHECK(row == s);
    writer.add(sample);
    for (std::uint16_t c = 0; c < 2; ++c) writer.add(results::CandidateRow{row, c, "answer " + std::to_string(s * 2 + c), ""});
    for (int v = 0; v < 4; ++v) {
      results::JudgementRow judgement{row, judgement_number(s * 4 + v), {}};
      judgement.judgement.group = shape;
      judgement.judgement.seconds = shape * 1.5;
      judgement.judgement.prefilled_tokens = shape;
      judgement.verdict = {verdict::VerdictStatus::ok, "", {8, 2}, "A", 6};
      writer.add(judgement);
    }
  }
  writer.add(results::MetricRow{"plain", "", "accuracy", "ties counted", 0.5, 0.25, kNaN, samples});
  writer.mark_complete();
  writer.finish();
}

}  // namespace

TEST_CASE("results.h5 gives back what was written, over several chunks") {
  TemporaryFolder run;
  const fs::path path = run.path() / "results.h5";
  constexpr int kSamples = 5000;  // 20,000 judgements: more than two chunks of rows
  write_run(path, kSamples, 1);
  CHECK_FALSE(fs::exists(run.path() / "results.h5.tmp"));
  results::ResultsReader reader(path);

  CHECK(reader.info().job == "kind: evaluate\n");
  CHECK(reader.info().seed == 7);
  CHECK(reader.complete());
  CHECK(reader.rows("samples") == kSamples);
  CHECK(reader.rows("judgements") == 4 * kSamples);
  CHECK(reader.rows("timing") == 4 * kSamples);

  const auto ids = reader.texts("samples", "id");
  const auto questions = reader.texts("samples", "question"), clusters = reader.texts("samples", "cluster");
  const auto human = reader.numbers("samples", "human_value");
  const auto scores = reader.lists("samples", "scores");
  REQUIRE(ids.size() == kSamples);
  std::size_t wrong = 0;
  for (int s = 0; s < kSamples; ++s) {
    const auto i = static_cast<std::size_t>(s);
    wrong += ids[i] != "sample-" + std::to_string(s);
    wrong += clusters[i] != "prompt " + std::to_string(s / 2);
    wrong += questions[i] != "question " + std::to_string(s) + " \xE2\x82\xAC";
    wrong += s % 2 ? human[i] != s : !std::isnan(human[i]);
    wrong += scores[i] != (s % 2 ? std::vector<double>{1.5, s / 3.0} : std::vector<double>{});
  }
  CHECK(wrong == 0);

  const auto texts = reader.texts("judgements", "text");
  const auto errors = reader.texts("judgements", "error");
  const auto tokens = reader.lists("judgements", "token_ids");
  const auto watched = reader.lists("judgements", "watch_logprobs");
  const auto status = reader.numbers("judgements", "status");
  const auto presentation = reader.texts("judgements", "presentation");
  for (int i = 0; i < 4 * kSamples; ++i) {
    const auto j = judgement_number(i);
    const auto at = static_cast<std::size_t>(i);
    wrong += texts[at] != j.text || errors[at] != j.error || status[at] != static_cast<double>(j.status);
    wrong += tokens[at] != std::vector<double>(j.token_ids.begin(), j.token_ids.end());
    wrong += watched[at] != std::vector<double>(j.watch_logprobs.begin(), j.watch_logprobs.end());
    wrong += presentation[at] != (i % 2 ? "1-0" : "0-1");
  }
  CHECK(wrong == 0);

  const auto metrics = reader.metrics();
  REQUIRE(metrics.size() == 1);
  CHECK(metrics[0].rule == "ties counted");
  CHECK(metrics[0].low == 0.25);
  CHECK(std::isnan(metrics[0].high));
  CHECK(metrics[0].n == kSamples);
  CHECK_THROWS_AS(reader.texts("samples", "no such column"), base::Error);
}

TEST_CASE("the digest sees every content but timing and the file's own story") {
  TemporaryFolder run;
  const auto digest_of = [&](const char* name) { return results::ResultsReader(run.path() / name).digest(); };
  write_run(run.path() / "a.h5", 10, 1);
  write_run(run.path() / "b.h5", 10, 2);
  write_run(run.path() / "c.h5", 11, 1);
  write_run(run.path() / "d.h5", 10, 1, "Question ");
  CHECK(digest_of("a.h5") == digest_of("b.h5"));
  CHECK(digest_of("a.h5") != digest_of("c.h5"));
  CHECK(digest_of("a.h5") != digest_of("d.h5"));
}

TEST_CASE("an empty run has all tables") {
  TemporaryFolder run;
  {
    results::ResultsWriter writer(run.path() / "results.h5", info_of_run());
    writer.finish();
  }
  results::ResultsReader reader(run.path() / "results.h5");
  for (const char* table : results::tables()) CHECK(reader.rows(table) == 0);
  CHECK(reader.texts("samples", "question").empty());
  CHECK(reader.metrics().empty());
}

TEST_CASE("without finish the old file stays and the temporary one goes") {
  TemporaryFolder run;
  write_run(run.path() / "results.h5", 3, 1);
  { results::ResultsWriter writer(run.path() / "results.h5", info_of_run()); }
  CHECK_FALSE(fs::exists(run.path() / "results.h5.tmp"));
  CHECK(results::ResultsReader(run.path() / "results.h5").rows("samples") == 3);
}

TEST_CASE("what is no results file is refused with its path") {
  TemporaryFolder run;
  std::ofstream(run.path() / "text.h5") << "not HDF5";
  std::string message;
  try {
    results::ResultsReader reader(run.path() / "text.h5");
  } catch (const base::Error& error) {
    message = error.what();
  }
  CHECK(message.find("text.h5: is no readable HDF5 file") != std::string::npos);
  CHECK_THROWS_AS(results::ResultsReader(run.path() / "absent.h5"), base::Error);
  CHECK_THROWS_AS(results::ResultsWriter(run.path() / "no" / "folder" / "r.h5", info_of_run()), base::Error);
}

TEST_CASE("a file cut short is refused") {
  TemporaryFolder run;
  write_run(run.path() / "whole.h5", 50, 1);
  const std::string whole = base::read_file(run.path() / "whole.h5");
  for (std::size_t cut = 0; cut < whole.size(); cut += 997) {
    std::ofstream(run.path() / "cut.h5", std::ios::binary).write(whole.data(), static_cast<std::streamsize>(cut));
    CHECK_THROWS_AS(results::ResultsReader(run.path() / "cut.h5"), base::Error);
  }
}

TEST_CASE("FORMAT.md shows the schema that the code has") {
  const std::string page = base::read_file(fs::path(support::source_dir()) / "src/results/FORMAT.md");
  std::string expected;
  for (const results::Column& column : results::schema()) {
    expected += std::string("| /") + column.table + "/" + column.name + " | " + results::name(column.type) + " | " +
                column.meaning + " |\n";
  }
  const std::string head = "| column | type | meaning |\n|---|---|---|\n";
  const std::size_t at = page.find(head);
  REQUIRE(at != std::string::npos);
  CHECK(page.substr(at + head.size()) == expected);
  for (const char* attribute : {"filetype", "version", "code_version", "created", "job", "identity", "model_hash", "seed", "complete"}) {
    CHECK(page.find(std::string("| ") + attribute + " | ") != std::string::npos);
  }
}

TEST_CASE("the index finds judgements by call, in any order and over segments") {
  TemporaryFolder run;
  results::JournalOptions options;
  options.segment_bytes = 1500;
  options.lock_retry_seconds = 0;
  options.sync = [](int) { return 0; };
  {
    results::Journal journal(run.path(), "model: 1\n", options);
    for (int i = 0; i < 60; ++i) journal.append(judgement_number((i * 7) % 60));
  }
  results::JournalIndex index(run.path());
  CHECK(index.summary().judgements == 60);
  for (int i = 59; i >= 0; --i) {
    const auto found = index.find(base::digest(judgement_number(i).key));
    REQUIRE(found);
    CHECK(support::equal(*found, judgement_number(i)));
  }
  CHECK_FALSE(index.find(base::digest(judgement_number(60).key)));
  CHECK_FALSE(index.contains({1, 2}));
}
