#include "cluster/fake_judge.h"

#include <set>

#include "base/error.h"
#include "support/catch.h"
#include "tests/cluster/made_up_run.h"

using namespace assize;
using namespace assize::cluster;

namespace {

std::vector<results::Judgement> run_out(Judge& judge) {
  std::vector<results::Judgement> finished;
  while (judge.step(finished)) {
  }
  return finished;
}

}  // namespace

TEST_CASE("templates are filled from the call alone") {
  const WorkItem item = support::item_number(5);
  CHECK(fill_template("{suite}/{sample}/{criterion}/{presentation}/{first}/{vote}", item.calls[3]) ==
        "made-up/s5//1-0/1/1");
  CHECK(fill_template("plain text, no end {", item.calls[0]) == "plain text, no end {");
  CHECK_THROWS_AS(fill_template("{unknown}", item.calls[0]), base::Error);
  CHECK_THROWS_AS(fill_template("{random:5:1}", item.calls[0]), base::Error);
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const WorkCall call = support::item_number(i).calls[0];
    const std::string text = fill_template("{random:1:10} {random:1:10}", call);
    CHECK(text == fill_template("{random:1:10} {random:1:10}", call));
    seen.insert(text);
  }
  CHECK(seen.size() > 60);  // of 100 pairs: the two numbers differ and all values occur
}

TEST_CASE("the first row that fits answers") {
  FakeTable table;
  table.otherwise.text = "<answer>{vote}</answer>";
  table.rows.resize(2);
  table.rows[0].sample = "s1";
  table.rows[0].presentation = "1-0";
  table.rows[0].text = "swapped";
  table.rows[0].action = FakeAction::truncate;
  table.rows[1].sample = "s1";
  table.rows[1].action = FakeAction::fail;
  table.rows[1].text = "no picture";
  FakeJudge judge(table);
  judge.submit(support::item_number(1));
  judge.submit(support::item_number(2));
  CHECK(judge.unfinished() == 8);
  const auto rows = run_out(judge);
  REQUIRE(rows.size() == 8);
  CHECK(judge.unfinished() == 0);
  for (const auto& row : rows) {
    const bool swapped = row.key.presentation[0] == 1;
    if (row.key.sample_id == "s2") {
      CHECK(row.status == results::Status::ok);
      CHECK(row.text == "<answer>" + std::to_string(row.key.vote) + "</answer>");
    } else if (swapped) {
      CHECK(row.status == results::Status::truncated);
      CHECK(row.text == "swapped");
    } else {
      CHECK(row.status == results::Status::failed);
      CHECK(row.error == "no picture");
      CHECK(row.text.empty());
    }
    const WorkItem item = support::item_number(row.key.sample_id == "s2" ? 2 : 1);
    CHECK(row.asked == item.prompts[swapped ? 1 : 0].asked);
  }
}

TEST_CASE("delays follow the clock") {
  double now = 0;
  FakeTable table;
  table.otherwise.delay_seconds = 5;
  table.slots = 2;
  FakeJudge judge(table, [&] { return now; });
  judge.submit(support::item_number(1));
  std::vector<results::Judgement> finished;
  CHECK(judge.step(finished));
  CHECK(finished.empty());
  now = 5;
  CHECK(judge.step(finished));
  CHECK(finished.size() == 2);
  CHECK(judge.step(finished));
  CHECK(finished.size() == 2);
  now = 10;
  CHECK(judge.step(finished));
  CHECK(finished.size() == 4);
  CHECK_FALSE(judge.step(finished));
}
