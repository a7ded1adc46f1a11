#include <fmt/format.h>

#include <iterator>
#include <nlohmann/json.hpp>

#include "report/report.h"
#include "report/text.h"

namespace assize::report {
namespace {

std::string exact(double value) { return fmt::format("{}", value); }

}  // namespace

std::string markdown(const ReportData& data) {
  std::string out;
  const auto add = [&](const std::string& line) { out += line + "\n"; };
  add(fmt::format("# {}\n\nJudge {} · {} · {} · assize {}\n", markdown_cell(data.run),
                  markdown_cell(data.judge), markdown_cell(data.state), markdown_cell(data.made),
                  markdown_cell(data.version)));
  for (const auto& suite : data.suites) {
    add(fmt::format("## {}\n\nProtocol {}, prompt {}, parser {}; {} samples, {} with a human label.\n",
                    markdown_cell(suite.id), verdict::name(suite.protocol), markdown_cell(suite.prompt),
                    markdown_cell(suite.profile), suite.samples, suite.labelled));
    for (const auto& finding : findings(suite)) add("- " + markdown_cell(finding));
    const auto& calls = suite.calls;
    add(
        fmt::format("\n| calls | read | unreadable | truncated | failed "
                    "|\n|--:|--:|--:|--:|--:|\n| {} | {} | {} | {} | {} |\n",
                    calls.calls, calls.ok, calls.unreadable, calls.truncated, calls.failed));
    add("| group | metric | value | 95 % interval | n | rule |\n|---|---|--:|---|--:|---|");
    for (const auto& metric : suite.metrics) {
      const auto& e = metric.estimate;
      const std::string interval =
          e.has_interval() ? number_text(e.low) + " to " + number_text(e.high) : e.no_interval;
      add(fmt::format("| {} | {} | {} | {} | {} | {} |",
                      metric.group.empty() ? "all" : markdown_cell(metric.group), markdown_cell(metric.name),
                      e.defined() ? number_text(e.value) : "undefined: " + e.undefined, interval, e.n,
                      markdown_cell(metric.rule)));
    }
    if (!suite.confusion.labels.empty() && suite.labelled > 0) {
      std::string head = "\n| people \\ judge |", rule = "|---|";
      for (const auto& label : suite.confusion.labels) {
        head += " " + markdown_cell(label) + " |";
        rule += "--:|";
      }
      add(head + " no verdict |\n" + rule + "--:|");
      for (std::size_t r = 0; r < suite.confusion.labels.size(); ++r) {
        std::string row = "| " + markdown_cell(suite.confusion.labels[r]) + " |";
        for (const auto count : suite.confusion.counts[r]) row += fmt::format(" {} |", count);
        add(row);
      }
    }
    add("");
  }
  const Cost& cost = data.cost;
  if (cost.wall_seconds > 0 || cost.output_tokens > 0) {
    add(fmt::format(
        "## Cost\n\nWall time {}, {} worker group(s); {} output tokens; {} prompt tokens asked, {} computed; "
        "{} judgements taken back and made again.",
        duration_text(cost.wall_seconds), cost.groups, cost.output_tokens, cost.prompt_tokens,
        cost.prefilled_tokens, cost.redone));
  }
  return out;
}

std::string metrics_json(const ReportData& data) {
  nlohmann::ordered_json root;
  root["run"] = data.run;
  root["judge"] = data.judge;
  root["version"] = data.version;
  root["state"] = data.state;
  root["redone"] = data.cost.redone;
  root["suites"] = nlohmann::ordered_json::array();
  for (const auto& suite : data.suites) {
    nlohmann::ordered_json s;
    s["id"] = suite.id;
    s["protocol"] = verdict::name(suite.protocol);
    s["prompt"] = suite.prompt;
    s["profile"] = suite.profile;
    s["samples"] = suite.samples;
    s["labelled"] = suite.labelled;
    const auto& c = suite.calls;
    s["calls"] = {{"judged", c.calls},          {"wanted", c.wanted},       {"ok", c.ok},
                  {"unreadable", c.unreadable}, {"truncated", c.truncated}, {"failed", c.failed}};
    const auto& o = suite.orders;
    s["orders"] = {{"consistent", o.consistent},
                   {"prefers_first", o.prefers_first},
                   {"prefers_second", o.prefers_second},
                   {"inconsistent", o.inconsistent},
                   {"not_tried", o.not_tried}};
    s["findings"] = findings(suite);
    s["metrics"] = nlohmann::ordered_json::array();
    for (const auto& metric : suite.metrics) {
      const auto& e = metric.estimate;
      nlohmann::ordered_json m = {{"group", metric.group},
                                  {"name", metric.name},
                                  {"rule", metric.rule},
                                  {"n", e.n},
                                  {"lower_is_better", metric.lower_is_better}};
      if (e.defined()) {
        m["value"] = e.value;
      } else {
        m["value"] = nullptr;
        m["undefined"] = e.undefined;
      }
      if (e.has_interval()) {
        m["low"] = e.low;
        m["high"] = e.high;
        m["percentile_low"] = e.percentile_low;
        m["percentile_high"] = e.percentile_high;
        m["resamples"] = e.resamples;
      } else if (e.defined()) {
        m["no_interval"] = e.no_interval;
      }
      s["metrics"].push_back(m);
    }
    root["suites"].push_back(s);
  }
  return root.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string metrics_csv(const ReportData& data) {
  std::string out = "suite,group,name,value,low,high,percentile_low,percentile_high,n,undefined,no_interval,rule,protocol,prompt,profile\n";
  for (const auto& suite : data.suites) {
    for (const auto& metric : suite.metrics) {
      const auto& e = metric.estimate;
      const auto bound = [&](double value) { return e.has_interval() ? exact(value) : std::string(); };
      fmt::format_to(std::back_inserter(out), "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(suite.id),
                     csv_field(metric.group), csv_field(metric.name), e.defined() ? exact(e.value) : "",
                     bound(e.low), bound(e.high), bound(e.percentile_low), bound(e.percentile_high), e.n,
                     csv_field(e.undefined), csv_field(e.no_interval), csv_field(metric.rule),
                     verdict::name(suite.protocol), csv_field(suite.prompt), csv_field(suite.profile));
    }
  }
  return out;
}

}  // namespace assize::report
