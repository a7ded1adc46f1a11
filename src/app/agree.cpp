#include "app/agree.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include <fmt/format.h>

#include "app/identity.h"
#include "base/error.h"
#include "report/report.h"
#include "report/text.h"

namespace assize::app {

namespace fs = std::filesystem;
using verdict::Protocol;

namespace {

std::string human_text(const metrics::JudgedSample& sample) {
  return sample.human_score ? fmt::format("{:.4g}", *sample.human_score) : sample.human;
}

/// The item of a report: what the row says besides the columns that were read.
report::Item item_of(const Table& table, const JudgedTable& judged, const report::TellingItem& telling,
                     const std::unordered_set<std::string>& read_columns) {
  const auto& sample = judged.samples[telling.sample];
  const TableRow& row = table.rows[judged.rows[telling.sample]];
  report::Item item;
  item.suite = judged.rule.suite;
  item.sample_id = sample.id;
  item.group = sample.group;
  item.reasons = telling.reasons;
  item.human = human_text(sample);
  item.verdict = !sample.combined.ok() ? std::string(verdict::name(sample.combined.status))
                 : judged.rule.protocol == Protocol::score ? fmt::format("{:.4g}", sample.combined.value)
                                                           : sample.combined.choice;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (row.cells[c].empty() || read_columns.count(table.columns[c])) continue;
    item.question += fmt::format("{}{}: {}", item.question.empty() ? "" : "\n", table.columns[c], row.cells[c]);
  }
  for (const auto& vote : sample.votes.unpacked()) {
    report::ItemCall call;
    call.presentation = vote.presentation;
    call.vote = vote.vote;
    call.verdict = vote.verdict;
    item.calls.push_back(std::move(call));
  }
  return item;
}

/// The report refers to `table` and `judged`.
report::ReportData report_data(const AgreeOptions& options, const Table& table, const JudgedTable& judged) {
  report::ReportData data;
  data.run = fs::path(options.table).filename().string();
  data.judge = fmt::format("column {}", options.columns.scores.empty() ? fmt::format("{}", fmt::join(options.columns.verdicts, ", "))
                                                                       : options.columns.scores);
  data.version = code_version();
  data.state = "verdicts from a table";
  data.suites.push_back(report::summarise(judged.samples, judged.rule));
  data.suites[0].profile = "table";
  data.suites[0].rules = judged.rules;
  if (options.report_folder.empty()) return data;
  const auto& c = options.columns;
  std::unordered_set<std::string> read(c.verdicts.begin(), c.verdicts.end());
  read.insert(c.annotators.begin(), c.annotators.end());
  for (const auto& name : {c.human, c.rater, c.vote, c.order, c.id, c.group, c.cluster}) read.insert(name);
  std::vector<std::int64_t> sizes;
  for (const auto row : judged.rows) {
    std::size_t size = 0;
    for (const auto& cell : table.rows[row].cells) size += cell.size();
    sizes.push_back(static_cast<std::int64_t>(size));
  }
  const auto order = report::telling_items(judged.samples, judged.rule.protocol, sizes);
  data.items.count = order.size();
  data.items.item = [&table, &judged, order, read](std::size_t i, report::Pictures) { return item_of(table, judged, order[i], read); };
  return data;
}

void print(report::SuiteReport suite, const std::string& table) {
  std::stable_sort(suite.metrics.begin(), suite.metrics.end(), [](const auto& a, const auto& b) { return a.group < b.group; });
  fmt::print("{}: protocol {}, {} items, {} with a human label; {}\n", table, verdict::name(suite.protocol), suite.samples,
             suite.labelled, suite.rules);
  for (const auto& finding : report::findings(suite)) fmt::print("{}\n", finding);
  std::string group = "-";
  for (const auto& metric : suite.metrics) {
    if (metric.group != group) {
      group = metric.group;
      fmt::print("\n{:<42} {:>8}   {:<20} {:>6}\n", group.empty() ? "all items" : "group " + report::printable(group), "value", "95 % interval", "n");
    }
    const auto& e = metric.estimate;
    if (!e.defined()) {
      fmt::print("  {:<40} undefined: {}\n", metric.name, e.undefined);
      continue;
    }
    const std::string interval = e.has_interval() ? fmt::format("{:.4f} to {:.4f}", e.low, e.high) : e.no_interval;
    fmt::print("  {:<40} {:>8.4f}   {:<20} {:>6}   {}\n", metric.name, e.value, interval, e.n, metric.rule);
  }
}

}  // namespace

int agree(const AgreeOptions& options) {
  if (options.columns.protocol.empty()) throw base::Error("say what the table holds with --protocol pair, score, label or rank");
  if (options.columns.human.empty()) throw base::Error("name the column of the human labels with --human");
  const Table table = read_table(options.table);
  JudgedTable judged = judge_table(table, options.columns);
  judged.rule.suite = fs::path(options.table).stem().string();
  judged.rule.bootstrap.resamples = options.resamples;
  judged.rule.bootstrap.seed = options.seed;
  const report::ReportData data = report_data(options, table, judged);
  if (options.json) {
    fmt::print("{}", report::metrics_json(data));
  } else {
    print(data.suites[0], options.table);
  }
  if (!options.report_folder.empty()) {
    fs::create_directories(options.report_folder);
    report::write_report(options.report_folder, data);
    if (!options.json) fmt::print("\nreport: {}\n", (fs::path(options.report_folder) / "report.html").string());
  }
  return 0;
}

}  // namespace assize::app
