#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/compare.h"
#include "report/text.h"

namespace assize::app {

using verdict::Protocol;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kShownText = 700;  // bytes of a text on a terminal; JSON has all of it

std::string said(const metrics::JudgedSample& sample, Protocol protocol) {
  if (!sample.combined.ok()) return std::string(verdict::name(sample.combined.status));
  return protocol == Protocol::score ? fmt::format("{:.4g}", sample.combined.value) : sample.combined.choice;
}

/// People's label; empty where there is none.
std::string people(const metrics::JudgedSample& sample) {
  return sample.human_score ? fmt::format("{:.4g}", *sample.human_score) : sample.human;
}

std::string p_text(const metrics::Figure& p) {
  if (!p.defined()) return std::string("undefined: ") + p.undefined;
  return p.value < 0.0001 ? "< 0.0001" : fmt::format("{:.4f}", p.value);
}

std::string value_text(const metrics::Estimate& e) { return e.defined() ? fmt::format("{:.4f}", e.value) : "-"; }

std::string shown_text(const std::string& text) {
  if (text.empty()) return "      (no text)";
  std::string cut = report::printable(std::string_view(text).substr(0, kShownText));
  if (text.size() > kShownText) cut += fmt::format(" … ({} bytes; --json has all)", text.size());
  std::string indented = "      ";
  for (const char c : cut) indented += c == '\n' ? "\n      " : std::string(1, c);
  return indented;
}

class TextWriter {
 public:
  std::string out;
  template <class... T>
  void add(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(std::back_inserter(out), format, std::forward<T>(values)...);
  }

  void suite(const ComparedSuite& suite, int items) {
    add("{}protocol {}, {} items in all sources\n", suite.id.empty() ? "" : report::printable(suite.id) + ": ",
        verdict::name(suite.rule.protocol), suite.questions.size());
    for (std::size_t j = 0; j < suite.judges.size(); ++j) {
      add("  [{}] {} ({}){}\n", j + 1, suite.judges[j], suite.settings[j],
          suite.unmatched[j] ? fmt::format("; {} items are in no other source", suite.unmatched[j]) : "");
    }
    for (const auto& metric : suite.all_judges) add("  all judges: {} {}\n", metric.name, report::estimate_text(metric.estimate));
    for (const auto& comparison : suite.comparisons) {
      add("\n[{}] against [{}]\n", comparison.first + 1, comparison.second + 1);
      if (comparison.left_out) add("  {} items are left out: not both have a verdict\n", comparison.left_out);
      with_people(comparison);
      judges(comparison);
      differing(suite, comparison, items);
    }
  }

 private:
  void with_people(const SuiteComparison& comparison) {
    const auto& rows = comparison.with_people;
    if (rows.empty()) return add("  no human labels: only the judges' agreement with each other is known\n");
    const std::string first = fmt::format("[{}]", comparison.first + 1), second = fmt::format("[{}]", comparison.second + 1);
    add("  {:<34} {:>6} {:>8} {:>8} {:>9}   {:<20} {:>9}\n", "agreement with people", "n", first, second, "change", "95 % interval", "p");
    bool grouped = false;
    for (const auto& row : rows) {
      grouped = grouped || !row.group.empty();
      const auto& d = row.difference;
      add("  {:<34} {:>6} {:>8} {:>8} {:>9}   {:<20} {:>9}", row.group.empty() ? row.name : report::printable(row.group), d.n, value_text(row.first),
          value_text(row.second), d.defined() ? fmt::format("{:+.4f}", d.value) : "-",
          d.has_interval() ? fmt::format("{:+.4f} to {:+.4f}", d.low, d.high) : d.defined() ? d.no_interval : d.undefined, p_text(row.permutation));
      if (!row.group.empty()) add("  adjusted {}", p_text({row.holm, nullptr}));
      if (row.only_first >= 0) {
        add("   only [{}] right {}, only [{}] right {}, McNemar p {}", comparison.first + 1, row.only_first, comparison.second + 1, row.only_second,
            p_text({row.mcnemar, nullptr}));
      }
      if (row.lower_is_better) add("   lower is better");
      add("\n");
    }
    add("  p: paired permutation test, two-sided{}; change: paired bootstrap\n", grouped ? "; adjusted over the groups (Holm)" : "");
  }

  void judges(const SuiteComparison& comparison) {
    add("  agreement with each other:");
    for (const auto& metric : comparison.judges) {
      add("{} {} {}", &metric == &comparison.judges[0] ? "" : ",", metric.name, report::estimate_text(metric.estimate));
    }
    add("\n");
  }

  void differing(const ComparedSuite& suite, const SuiteComparison& comparison, int items) {
    const std::size_t shown = std::min(comparison.differing.size(), static_cast<std::size_t>(std::max(0, items)));
    add("  {} items differ", comparison.differing.size());
    if (shown < comparison.differing.size() && shown > 0) add("; the {} most telling", shown);
    add("{}\n", shown > 0 ? ":" : "");
    for (std::size_t i = 0; i < shown; ++i) {
      const auto& item = comparison.differing[i];
      const std::string label = people(*item.first);
      add("  - {}{}: {}[{}] {}, [{}] {}\n", report::printable(item.first->id),
          item.first->group.empty() ? "" : " (" + report::printable(item.first->group) + ")",
          label.empty() ? "" : fmt::format("people {}, ", label), comparison.first + 1,
          said(*item.first, suite.rule.protocol), comparison.second + 1, said(*item.second, suite.rule.protocol));
      if (item.first_text.empty() && item.second_text.empty()) continue;
      add("    [{}]\n{}\n    [{}]\n{}\n", comparison.first + 1, shown_text(item.first_text), comparison.second + 1, shown_text(item.second_text));
    }
  }
};

Json json_of(const metrics::Estimate& e) {
  Json json = {{"value", nullptr}, {"n", e.n}};
  if (e.defined()) json["value"] = e.value;
  if (!e.defined()) json["undefined"] = e.undefined;
  if (e.has_interval()) {
    json["low"] = e.low;
    json["high"] = e.high;
  } else if (e.defined()) {
    json["no_interval"] = e.no_interval;
  }
  return json;
}

Json json_of(const metrics::Comparison& row) {
  Json json = {{"group", row.group}, {"metric", row.name}, {"rule", row.rule}, {"lower_is_better", row.lower_is_better},
               {"first", json_of(row.first)}, {"second", json_of(row.second)}, {"difference", json_of(row.difference)}};
  json["p"] = row.permutation.defined() ? Json(row.permutation.value) : Json(nullptr);
  if (!row.group.empty()) json["p_holm"] = row.holm;
  if (row.only_first >= 0) {
    json["only_first_right"] = row.only_first;
    json["only_second_right"] = row.only_second;
    json["p_mcnemar"] = row.mcnemar;
  }
  return json;
}

Json json_of(const metrics::Metric& metric) {
  Json json = json_of(metric.estimate);
  json["metric"] = metric.name;
  json["rule"] = metric.rule;
  return json;
}

Json json_of(const CheckedFigure& figure) {
  Json json = {{"suite", figure.expected.suite}, {"group", figure.expected.group}, {"metric", figure.expected.metric},
               {"expected", figure.expected.value}, {"found", json_of(figure.found)}, {"band", figure.band},
               {"decides", figure.decides()}, {"accepted", figure.rejected.empty()}};
  if (!figure.rejected.empty()) json["rejected"] = figure.rejected;
  return json;
}

template <class List>
Json json_list(const List& list) {
  Json json = Json::array();
  for (const auto& entry : list) json.push_back(json_of(entry));
  return json;
}

Json json_of(const SuiteComparison& comparison, Protocol protocol, int items) {
  Json json = {{"first", comparison.first}, {"second", comparison.second}, {"left_out", comparison.left_out},
               {"with_people", json_list(comparison.with_people)}, {"with_each_other", json_list(comparison.judges)},
               {"differing", comparison.differing.size()}, {"items", Json::array()}};
  for (std::size_t i = 0; i < comparison.differing.size() && i < static_cast<std::size_t>(std::max(0, items)); ++i) {
    const auto& item = comparison.differing[i];
    const std::string label = people(*item.first);
    json["items"].push_back({{"id", item.first->id}, {"group", item.first->group}, {"question", item.question},
                             {"human", label.empty() ? Json(nullptr) : Json(label)},
                             {"first", said(*item.first, protocol)}, {"second", said(*item.second, protocol)},
                             {"first_text", item.first_text}, {"second_text", item.second_text}});
  }
  return json;
}

}  // namespace

std::string compare_text(const std::vector<ComparedSuite>& suites, int items) {
  TextWriter writer;
  for (const auto& suite : suites) {
    if (&suite != &suites[0]) writer.add("\n");
    writer.suite(suite, items);
  }
  return std::move(writer.out);
}

std::string compare_json(const std::vector<ComparedSuite>& suites, const std::vector<CheckedFigure>& checked, int items) {
  Json root = {{"suites", Json::array()}};
  for (const auto& suite : suites) {
    Json json = {{"id", suite.id}, {"protocol", verdict::name(suite.rule.protocol)}, {"items", suite.questions.size()}, {"judges", Json::array()},
                 {"all_judges", json_list(suite.all_judges)}, {"comparisons", Json::array()}};
    for (std::size_t j = 0; j < suite.judges.size(); ++j) {
      json["judges"].push_back({{"name", suite.judges[j]}, {"settings", suite.settings[j]}, {"unmatched", suite.unmatched[j]}});
    }
    for (const auto& comparison : suite.comparisons) json["comparisons"].push_back(json_of(comparison, suite.rule.protocol, items));
    root["suites"].push_back(std::move(json));
  }
  if (!checked.empty()) root["expected"] = {{"accepted", accepted(checked)}, {"figures", json_list(checked)}};
  return root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string panel_csv(const std::vector<ComparedSuite>& suites) {
  std::string out = "suite,id,group,human,verdict";
  for (std::size_t j = 0; !suites.empty() && j + 1 < suites[0].judges.size(); ++j) out += "," + report::csv_field(suites[0].judges[j]);
  out += "\n";
  for (const auto& suite : suites) {
    const auto verdict = [&](std::size_t judge, std::size_t item) {
      const auto& sample = suite.samples[judge][item];
      if (!sample.combined.ok()) return std::string();
      return report::csv_field(suite.rule.protocol == Protocol::score ? fmt::format("{}", sample.combined.value) : sample.combined.choice);
    };
    for (std::size_t i = 0; i < suite.questions.size(); ++i) {
      const auto& sample = suite.samples[0][i];
      const std::string human = sample.human_score ? fmt::format("{}", *sample.human_score) : sample.human;
      out += fmt::format("{},{},{},{},{}", report::csv_field(suite.id), report::csv_field(sample.id), report::csv_field(sample.group),
                         report::csv_field(human), verdict(suite.judges.size() - 1, i));
      for (std::size_t j = 0; j + 1 < suite.judges.size(); ++j) out += "," + verdict(j, i);
      out += "\n";
    }
  }
  return out;
}

}  // namespace assize::app
