#include <fstream>
#include <limits>
#include <sstream>

#include <nlohmann/json.hpp>

#include "results/export_tables.h"
#include "results/results_writer.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "tests/results/judgements.h"

using namespace assize;
using support::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const fs::path& file, const std::string& end) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  const std::string text = out.str();
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t at = text.find(end, begin);
    REQUIRE(at != std::string::npos);
    lines.push_back(text.substr(begin, at - begin));
    begin = at + end.size();
  }
  return lines;
}

/// More rows than two blocks; row i holds i.
void write_candidates(const fs::path& file, int rows) {
  results::ResultsWriter writer(file, {});
  for (int i = 0; i < rows; ++i) writer.add(results::CandidateRow{i, static_cast<std::uint16_t>(i % 7), "text " + std::to_string(i), ""});
  writer.finish();
}

}  // namespace

TEST_CASE("CSV: quotes, commas, line breaks and lists as RFC 4180 wants them") {
  TemporaryFolder folder;
  {
    results::ResultsWriter writer(folder.path() / "results.h5", {});
    results::SampleRow row;
    row.suite = "a,b";
    row.id = "say \"no\"";
    row.question = "two\nlines";
    row.human_value = std::numeric_limits<double>::quiet_NaN();
    row.scores = {1.5, -2};
    writer.add(row);
    writer.finish();
  }
  results::export_tables(folder.path() / "results.h5", folder.path(), results::TextFormat::csv);
  const auto lines = lines_of(folder.path() / "samples.csv", "\r\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("suite,id,group,cluster,question,human_choice,human_value,status,choice,value,scores,"));
  CHECK(lines[1].starts_with("\"a,b\",\"say \"\"no\"\"\",,,\"two\nlines\",,,1,,0,\"[1.5, -2]\","));
  CHECK(lines_of(folder.path() / "judgements.csv", "\r\n").size() == 1);
}

TEST_CASE("JSON lines: every row of every block, and nothing that a JSON reader refuses") {
  TemporaryFolder folder;
  constexpr int kRows = 10000;
  write_candidates(folder.path() / "results.h5", kRows);
  results::export_tables(folder.path() / "results.h5", folder.path(), results::TextFormat::jsonl);
  const auto lines = lines_of(folder.path() / "candidates.jsonl", "\n");
  REQUIRE(lines.size() == kRows);
  for (int i = 0; i < kRows; i += 617) {
    const auto row = nlohmann::json::parse(lines[static_cast<std::size_t>(i)]);
    CHECK(row["sample"] == i);
    CHECK(row["index"] == i % 7);
    CHECK(row["text"] == "text " + std::to_string(i));
  }
  results::JudgementRow odd{0, support::judgement_number(4), {}};
  odd.judgement.text = "\xFF broken \x01";
  odd.judgement.asked = {0xFFFFFFFFFFFFFFFFull, 1};
  odd.judgement.sum_logprob = std::numeric_limits<double>::infinity();
  {
    results::ResultsWriter writer(folder.path() / "odd.h5", {});
    writer.add(odd);
    writer.finish();
  }
  results::export_tables(folder.path() / "odd.h5", folder.path(), results::TextFormat::jsonl);
  const auto row = nlohmann::json::parse(lines_of(folder.path() / "judgements.jsonl", "\n").at(0));
  CHECK(row["text"] == "\xEF\xBF\xBD broken \x01");
  CHECK(row["asked_low"] == 0xFFFFFFFFFFFFFFFFull);
  CHECK(row["sum_logprob"].is_null());
  CHECK(row["token_ids"].size() == odd.judgement.token_ids.size());
  CHECK(row["watch_logprobs"][0] == -2.0);
}

TEST_CASE("tables are put in place as a whole, or not at all") {
  TemporaryFolder folder;
  write_candidates(folder.path() / "results.h5", 3);
  CHECK_THROWS_WITH(results::export_tables(folder.path() / "results.h5", folder.path() / "none", results::TextFormat::csv),
                    Catch::Matchers::Contains("choose another folder with --output"));
  CHECK_THROWS(results::export_tables(folder.path() / "other.h5", folder.path(), results::TextFormat::csv));
  CHECK_FALSE(fs::exists(folder.path() / "samples.csv"));
}
