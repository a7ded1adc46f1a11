#include <cmath>
#include <limits>

#include "support/catch.h"
#include "throughput/figure_text.h"
#include "throughput/report.h"

using namespace assize;
using namespace assize::throughput;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// A run of `groups` equal groups, ten seconds long, with `steps` steps of a group in one bin.
ThroughputReport measured(int groups, std::uint64_t steps) {
  Measurement run;
  run.groups = groups;
  run.wall_seconds = 10;
  run.asked.calls = run.asked.prompts = 40;
  cluster::Progress::Group group;
  group.about = "a <place>";
  group.slots = 8;
  group.ceiling = {2e11, 4e10, 1};
  group.counters.now.seconds = 10;
  group.counters.now.judgements = 40;
  group.counters.now.engine.sampled = 213'800;
  group.counters.now.engine.steps = steps;
  group.counters.now.engine.model_seconds = 9;
  group.counters.now.engine.plan_seconds = 0.5;
  group.counters.now.step_bins[4] = steps;
  run.group.assign(static_cast<std::size_t>(groups), group);
  ThroughputReport report;
  report.run = "a-run";
  report.runs = {run};
  return report;
}

}  // namespace

TEST_CASE("numbers are written with three digits or more and never in powers of ten") {
  CHECK(three_digits(0.16566) == "0.166");
  CHECK(three_digits(0) == "0");
  CHECK(three_digits(20) == "20");
  CHECK(three_digits(9.996) == "10.0");
  CHECK(three_digits(15.93) == "15.9");
  CHECK(three_digits(21380.4) == "21\u202F380");
  CHECK(three_digits(std::numeric_limits<double>::quiet_NaN()) == "–");
  const auto text = [](Unit unit, double value) { return figure_text({"", unit, "", ""}, value); };
  CHECK(text(Unit::per_second, 1158.4) == "1\u202F158 /s");
  CHECK(text(Unit::seconds, 0.0497) == "49.7 ms");
  CHECK(text(Unit::seconds, 14.2) == "14.2 s");
  CHECK(text(Unit::share, 0.4) == "40.0 %");
  CHECK(text(Unit::ratio, 71.65) == "71.7");
  CHECK(text(Unit::bytes, 273.0 * 1024 * 1024) == "273 MiB");
  CHECK(text(Unit::blocks, 174) == "174 blocks");
}

TEST_CASE("the page of a measurement has units, axes and where the time went") {
  const ThroughputReport report = measured(1, 1200);
  const std::string page = html(report);
  CHECK(contains(page, "21\u202F380 /s"));
  CHECK_FALSE(contains(page, "e+0"));
  CHECK_FALSE(contains(summary(report), "e+0"));
  CHECK(contains(page, "<b>90.0 %</b> computing"));
  CHECK(contains(page, "<b>5.0 %</b> planning"));
  CHECK(contains(page, "length of a step in ms (across) and number of steps (up)"));
  CHECK(contains(page, ">1\u202F000</text>"));  // a tick of the histogram
  CHECK(contains(page, "a &lt;place&gt;"));
  CHECK_FALSE(contains(page, "common beginnings;"));  // of prompts that were not counted
  // One group: its figures are those of the run. No GPU: nothing about data sheets.
  CHECK_FALSE(contains(page, "Speed of each group"));
  CHECK_FALSE(contains(page, "data sheet"));
  CHECK_FALSE(contains(page, "Data sheet"));
}

TEST_CASE("the page of several groups has a line for each, and one without steps no histogram") {
  const std::string page = html(measured(5, 0));
  CHECK(contains(page, "Speed of each group"));
  CHECK(count(page, "<tr><td>4</td>") == 4);  // speed, use, memory, processors
  CHECK(count(page, "<tr><td>5</td>") == 0);
  CHECK_FALSE(contains(page, "Steps by their length"));
}
