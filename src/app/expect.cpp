#include "app/expect.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "base/error.h"
#include "job/reader.h"
#include "report/text.h"

namespace assize::app {

namespace {

constexpr double kNormal95 = 1.959964;  // half the 95 % interval of a normal distribution, in standard deviations

ExpectedFigure read_figure(const job::Tree& tree, const ExpectedFigure& defaults, job::Problems& problems) {
  ExpectedFigure figure = defaults;
  job::MapReader reader(&tree, tree.place, "figures", problems);
  reader.get("suite", figure.suite);
  reader.get("group", figure.group);
  reader.get("metric", figure.metric);
  reader.require("metric");
  reader.get("value", figure.value, -1e9, 1e9);
  reader.require("value");
  if (reader.has("band") || reader.has("standard_errors")) figure.band = figure.standard_errors = 0;
  reader.get("band", figure.band, 0, 1e9);
  reader.get("standard_errors", figure.standard_errors, 0, 100);
  reader.get("decides", figure.decides);
  reader.finish();
  figure.place = tree.place;
  if ((figure.band > 0) == (figure.standard_errors > 0)) {
    problems.add(tree.place, "a figure needs 'band' or 'standard_errors', one of the two, above 0");
  }
  return figure;
}

std::string name_of(const ExpectedFigure& figure) {
  std::string name = figure.suite;
  for (const auto& part : {figure.group, figure.metric}) {
    if (!part.empty()) name += (name.empty() ? "" : " / ") + part;
  }
  return name;
}

const metrics::Metric& find(const ExpectedFigure& expected, const std::vector<metrics::Metric>& figures) {
  std::set<std::string> suites, groups, names;
  for (const auto& figure : figures) suites.insert(figure.suite);
  for (const auto& figure : figures) {
    if (expected.suite.empty() ? suites.size() > 1 : figure.suite != expected.suite) continue;
    groups.insert(figure.group);
    if (figure.group != expected.group) continue;
    names.insert(figure.name);
    if (figure.name == expected.metric) return figure;
  }
  const auto refuse = [&](const char* what, const std::string& wanted, const std::set<std::string>& there) {
    const std::string near = job::nearest(wanted, {there.begin(), there.end()});
    throw base::Error(fmt::format("{}: there is no {} '{}'; {}", expected.place.text(), what, wanted,
                                  near.empty() ? fmt::format("there are: {}", fmt::join(there, ", ")) : fmt::format("did you mean '{}'?", near)));
  };
  if (expected.suite.empty() && suites.size() > 1) {
    throw base::Error(fmt::format("{}: say which suite: {}", expected.place.text(), fmt::join(suites, ", ")));
  }
  if (names.empty()) refuse("group", expected.group, groups);
  refuse("metric", expected.metric, names);
  return figures.front();
}

}  // namespace

std::vector<ExpectedFigure> read_expected(const std::filesystem::path& file) {
  const job::Tree tree = job::read_yaml(file);
  job::Problems problems;
  job::MapReader reader(&tree, job::Place{file.string(), 1, 1}, "", problems);
  std::string source;
  ExpectedFigure defaults;
  reader.get("source", source);
  reader.get("band", defaults.band, 0, 1e9);
  reader.get("standard_errors", defaults.standard_errors, 0, 100);
  const job::Tree* list = reader.take("figures");
  reader.finish();
  std::vector<ExpectedFigure> figures;
  if (!list || list->kind != job::Tree::Kind::sequence || list->items.empty()) {
    problems.add(reader.place("figures"), "'figures' must be a list of maps such as {suite: s, metric: accuracy, value: 0.5}");
  } else {
    for (const auto& item : list->items) figures.push_back(read_figure(item, defaults, problems));
  }
  problems.raise();
  return figures;
}

std::vector<CheckedFigure> check_expected(const std::vector<ExpectedFigure>& expected, const std::vector<metrics::Metric>& figures) {
  std::vector<CheckedFigure> checked;
  bool any = false;
  for (const auto& wanted : expected) {
    const bool present = wanted.suite.empty() ||
                         std::any_of(figures.begin(), figures.end(), [&](const auto& figure) { return figure.suite == wanted.suite; });
    any = any || present;
    if (!present) {
      checked.push_back({wanted, {}, wanted.band, "not in this run", false});
      continue;
    }
    CheckedFigure figure{wanted, find(wanted, figures).estimate, wanted.band, ""};
    const auto& found = figure.found;
    if (wanted.standard_errors > 0) figure.band = wanted.standard_errors * (found.high - found.low) / (2 * kNormal95);
    if (!found.defined()) {
      figure.rejected = "undefined: " + found.undefined;
    } else if (wanted.standard_errors > 0 && !found.has_interval()) {
      figure.rejected = "no interval to take a standard error from: " + found.no_interval;
    } else if (!(std::abs(found.value - wanted.value) <= figure.band)) {
      figure.rejected = "outside the band";
    }
    checked.push_back(std::move(figure));
  }
  if (!any) {
    throw base::Error(fmt::format("{}: none of the expected suites is in the run; 'suite' must be the suite's id",
                                  expected.empty() ? "" : expected[0].place.text()));
  }
  return checked;
}

bool accepted(const std::vector<CheckedFigure>& checked) {
  return std::all_of(checked.begin(), checked.end(), [](const auto& figure) { return figure.rejected.empty() || !figure.decides(); });
}

std::string expected_text(const std::vector<CheckedFigure>& checked) {
  std::string out = fmt::format("{:<56} {:>9} {:>9} {:>9} {:>9}\n", "figure", "expected", "found", "distance", "band");
  std::size_t rejected = 0, deciding = 0;
  for (const auto& figure : checked) {
    const auto& e = figure.expected;
    deciding += figure.decides();
    rejected += figure.decides() && !figure.rejected.empty();
    if (!figure.present) {
      out += fmt::format("{:<56} {:>9.4f}  not in this run\n", report::printable(name_of(e)), e.value);
      continue;
    }
    const bool known = figure.found.defined();
    out += fmt::format("{:<56} {:>9.4f} {:>9} {:>9} {:>9.4f}  {}{}\n", report::printable(name_of(e)), e.value,
                       known ? fmt::format("{:.4f}", figure.found.value) : "-",
                       known ? fmt::format("{:+.4f}", figure.found.value - e.value) : "-", figure.band,
                       figure.rejected.empty() ? "accepted" : "REJECTED: " + figure.rejected, e.decides ? "" : " (does not decide)");
  }
  out += rejected == 0 ? fmt::format("accepted: all {} deciding figures lie in their bands\n", deciding)
                       : fmt::format("rejected: {} of {} deciding figures lie outside their bands\n", rejected, deciding);
  return out;
}

}  // namespace assize::app
