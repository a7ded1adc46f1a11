#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "report/items.h"
#include "report/page.h"
#include "report/plots.h"
#include "report/report.h"
#include "report/style.h"
#include "report/text.h"

namespace assize::report {
namespace {

constexpr std::size_t kMaxGroupRows = 60;
constexpr std::size_t kItemsOnPaper = 40;  // as in kStyle

std::string capitalised(std::string words) {
  if (!words.empty() && words[0] >= 'a' && words[0] <= 'z')
    words[0] = static_cast<char>(words[0] - 'a' + 'A');
  return words;
}

// What the figures of a suite depend on: protocol, prompt, profile.
std::string protocol_text(const SuiteReport& suite) {
  return fmt::format("{} · prompt {} · {}", verdict::name(suite.protocol),
                     suite.prompt.empty() ? "–" : suite.prompt, suite.profile.empty() ? "–" : suite.profile);
}

const char* tone(const std::string& finding) {
  if (finding.rfind("Agrees with people above", 0) == 0) return "good";
  return finding.rfind("Some answers", 0) == 0 || finding.rfind("People", 0) == 0 ? "" : "bad";
}

const metrics::Metric* overall(const SuiteReport& suite, const std::string& name) {
  const auto found = std::find_if(suite.metrics.begin(), suite.metrics.end(),
                                  [&](const auto& m) { return m.group.empty() && m.name == name; });
  return found == suite.metrics.end() ? nullptr : &*found;
}

// The range of a metric on a page: shares from 0, correlations and the like from -1; nothing for errors and
// spreads.
bool drawable(const metrics::Metric& metric) {
  return metric.name.find("error") == std::string::npos && metric.name.find("spread") == std::string::npos;
}
double low_end(const metrics::Metric& metric) {
  for (const char* word : {"kappa", "Pearson", "Spearman", "Kendall", "alpha", "bias"}) {
    if (metric.name.find(word) != std::string::npos) return -1;
  }
  return 0;
}

void add_estimate_cells(Page& page, const metrics::Estimate& e) {
  if (!e.defined()) {
    page.add("<td class=\"none\" colspan=\"2\">undefined: {}</td>", escaped(e.undefined));
    return;
  }
  page.add("<td class=\"v\">{}</td>", number_text(e.value));
  if (e.has_interval()) {
    page.add("<td class=\"range\">{} to {}</td>", number_text(e.low), number_text(e.high));
  } else {
    page.add("<td class=\"range\">{}</td>", escaped(e.no_interval));
  }
}

void add_findings(Page& page, const std::vector<SuiteReport>& suites) {
  page.add("<ul class=\"findings\">");
  for (const auto& suite : suites) {
    for (const auto& finding : findings(suite)) {
      page.add("<li class=\"{}\">", tone(finding));
      if (suites.size() > 1) page.add("<b>{}</b> ", escaped(suite.id));
      page.add("{}</li>", escaped(finding));
    }
  }
  page.add("</ul>");
}

void add_headline(Page& page, const std::vector<SuiteReport>& suites) {
  page.add(
      "<div class=\"scroll\"><table class=\"wide\"><thead><tr><th>Suite</th><th>Metric</th><th "
      "class=\"n\">Value</th><th>95 % interval</th>"
      "<th></th><th class=\"n\">Samples</th><th class=\"n\">Read</th><th class=\"n\">Same in both "
      "orders</th></tr></thead><tbody>");
  for (const auto& suite : suites) {
    page.add("<tr><td><a href=\"#suite-{}\">{}</a><div class=\"note\">{}</div></td>", &suite - suites.data(), escaped(suite.id),
             escaped(protocol_text(suite)));
    if (const auto* metric = overall(suite, metrics::headline_name(suite.protocol))) {
      page.add("<td>{}</td>", escaped(metric->name + (metric->lower_is_better ? " (lower is better)" : "")));
      add_estimate_cells(page, metric->estimate);
      page.add("<td>{}</td>", interval_bar(metric->estimate, low_end(*metric), 1));
    } else {
      page.add("<td colspan=\"4\">no human labels</td>");
    }
    page.add("<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
             count_text(suite.samples), percent_text(suite.calls.ok, suite.calls.calls),
             percent_text(suite.orders.consistent, suite.orders.tried()));
  }
  page.add("</tbody></table></div>");
}

void add_metric_table(Page& page, const SuiteReport& suite) {
  page.add(
      "<div class=\"full\"><h3>All metrics</h3><div class=\"scroll\"><table "
      "class=\"wide\"><thead><tr><th>Metric</th><th class=\"n\">Value</th>"
      "<th>95 % interval</th><th></th><th class=\"n\">n</th><th>Rule</th></tr></thead><tbody>");
  for (const auto& metric : suite.metrics) {
    if (!metric.group.empty()) continue;
    page.add("<tr><td>{}</td>", escaped(metric.name));
    add_estimate_cells(page, metric.estimate);
    page.add("<td>{}</td><td class=\"n\">{}</td><td class=\"rule\">{}{}</td></tr>",
             drawable(metric) && metric.estimate.defined() ? interval_bar(metric.estimate, low_end(metric), 1)
                                                           : "",
             count_text(metric.estimate.n), escaped(metric.rule),
             metric.lower_is_better ? "; lower is better" : "");
  }
  page.add("</tbody></table></div></div>");
}

void add_groups(Page& page, const SuiteReport& suite) {
  const std::string name = metrics::headline_name(suite.protocol);
  std::vector<DotRow> rows;
  for (const auto& metric : suite.metrics) {
    if (!metric.group.empty() && metric.name == name) rows.push_back({metric.group, metric.estimate});
  }
  if (rows.empty()) return;
  const std::size_t all = rows.size();
  rows.resize(std::min(all, kMaxGroupRows));
  const auto* whole = overall(suite, name);
  const double reference = whole && whole->estimate.defined() ? whole->estimate.value : NAN;
  double low = suite.protocol == verdict::Protocol::score ? -0.2 : 0;
  for (const auto& row : rows) {
    if (row.estimate.defined()) low = std::min(low, std::floor(row.estimate.low * 5) / 5);
  }
  page.add(
      "<div><h3>{} per group</h3><figure>{}<figcaption>Dashed: all samples.{}</figcaption></figure></div>",
      escaped(capitalised(name)), dot_plot(rows, low, 1, reference),
      all > rows.size() ? fmt::format(" {} more groups are in metrics.csv.", all - rows.size()) : "");
}

void add_confusion(Page& page, const SuiteReport& suite) {
  const auto& table = suite.confusion;
  if (table.labels.empty() || suite.labelled == 0) return;
  std::int64_t most = 1;
  for (const auto& row : table.counts) most = std::max(most, *std::max_element(row.begin(), row.end()));
  page.add(
      "<div><h3>People (rows) and verdicts (columns)</h3><div class=\"scroll\"><table "
      "class=\"confusion\"><thead><tr><th></th>");
  for (const auto& label : table.labels) page.add("<th>{}</th>", escaped(label));
  page.add("<th>no verdict</th></tr></thead><tbody>");
  for (std::size_t r = 0; r < table.labels.size(); ++r) {
    page.add("<tr><th>{}</th>", escaped(table.labels[r]));
    for (std::size_t c = 0; c <= table.labels.size(); ++c) {
      const auto count = table.counts[r][c];
      const double shade = 34.0 * static_cast<double>(count) / static_cast<double>(most);
      page.add(
          "<td class=\"{}\" style=\"background:color-mix(in srgb, var(--accent) {:.0f}%, "
          "transparent)\">{}</td>",
          r == c ? "hit" : "", shade, count_text(count));
    }
    page.add("</tr>");
  }
  page.add("</tbody></table></div></div>");
}

void add_key(Page& page, const std::vector<std::pair<std::string, std::int64_t>>& parts, std::int64_t total) {
  page.add("<ul class=\"key\">");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    page.add("<li class=\"k{}\">{} <b>{}</b> ({})</li>", i, parts[i].first, count_text(parts[i].second),
             percent_text(parts[i].second, total));
  }
  page.add("</ul>");
}

void add_bar_panel(Page& page, const char* title,
                   const std::vector<std::pair<std::string, std::int64_t>>& parts, const std::string& note) {
  std::vector<std::int64_t> counts;
  std::int64_t total = 0;
  for (const auto& [name, count] : parts) {
    counts.push_back(count);
    total += count;
  }
  page.add("<div><h3>{}</h3><figure>{}</figure>", title, stacked_bar(counts));
  add_key(page, parts, total);
  if (!note.empty()) page.add("<p class=\"note\">{}</p>", escaped(note));
  page.add("</div>");
}

void add_panels(Page& page, const SuiteReport& suite) {
  page.add("<div class=\"panels\">");
  add_groups(page, suite);
  add_confusion(page, suite);
  if (!suite.calibration.empty()) {
    page.add("<div><h3>Calibration</h3><figure>{}</figure></div>",
             calibration_plot(suite.calibration, suite.score_low, suite.score_high));
  }
  if (!suite.distribution.empty()) {
    page.add("<div><h3>{}</h3><figure>{}</figure><ul class=\"key\"><li class=\"k0\">judge</li>",
             suite.protocol == verdict::Protocol::rank ? "First places" : "Verdicts", distribution_plot(suite.distribution));
    if (suite.labelled > 0) page.add("<li class=\"kh\">people</li>");
    page.add("</ul></div>");
  }
  if (!suite.curve.empty()) {
    page.add(
        "<div><h3>{} against the number of votes</h3><figure>{}<figcaption>The same run, its first 1, 2, … "
        "votes counted.</figcaption></figure></div>",
        escaped(capitalised(metrics::headline_name(suite.protocol))),
        curve_plot(suite.curve, metrics::headline_name(suite.protocol)));
  }
  if (suite.orders.tried() > 0) {
    const auto& o = suite.orders;
    const auto *human = overall(suite, "human tie rate"), *judge = overall(suite, "predicted tie rate");
    std::string note;
    if (human && judge)
      note = "Ties: people " + estimate_text(human->estimate) + ", judge " + estimate_text(judge->estimate) +
             ".";
    if (o.not_tried) note += fmt::format(" {} samples could not be compared.", o.not_tried);
    add_bar_panel(page, "Both orders",
                  {{"same verdict", o.consistent},
                   {"first shown wins", o.prefers_first},
                   {"second shown wins", o.prefers_second},
                   {"tie in one order", o.inconsistent}},
                  note);
  }
  const auto& c = suite.calls;
  const std::string note = fmt::format("{} of {} calls judged.", count_text(c.calls), count_text(std::max(c.wanted, c.calls)));
  add_bar_panel(
      page, "Calls",
      {{"read", c.ok}, {"unreadable", c.unreadable}, {"truncated", c.truncated}, {"failed", c.failed}}, note);
  add_metric_table(page, suite);
  page.add("</div>");
}

void add_suite(Page& page, const SuiteReport& suite, std::size_t index) {
  page.add(
      "<section id=\"suite-{}\"><h2>{}</h2><p class=\"meta\">protocol {} · {} samples, {} with a human label{}{}</p>",
      index, escaped(suite.id), escaped(protocol_text(suite)), count_text(suite.samples),
      count_text(suite.labelled), suite.rules.empty() ? "" : " · ", escaped(suite.rules));
  if (suite.samples == 0) {
    page.add("<p>Nothing was judged yet.</p></section>");
    return;
  }
  add_panels(page, suite);
  page.add("</section>");
}

void add_cost(Page& page, const ReportData& data) {
  const Cost& cost = data.cost;
  std::int64_t calls = 0;
  for (const auto& suite : data.suites) calls += suite.calls.calls;
  page.add("<section><h2>Cost</h2><dl class=\"facts\">");
  const auto fact = [&](const char* name, const std::string& value) {
    page.add("<dt>{}</dt><dd>{}</dd>", name, escaped(value));
  };
  if (!cost.machine.empty()) fact("Machine", cost.machine);
  fact("Wall time", duration_text(cost.wall_seconds));
  fact("Time in calls",
       fmt::format("{}, summed; calls overlap in {} worker group{}", duration_text(cost.judge_seconds),
                   cost.groups, cost.groups == 1 ? "" : "s"));
  if (cost.redone > 0) fact("Judged again", fmt::format("{} judgements were taken back and made again", count_text(cost.redone)));
  if (cost.wall_seconds > 0 && cost.groups > 0) {
    fact("Utilisation", fmt::format("{:.1f} calls at a time in each worker group, on average",
                                    cost.judge_seconds / cost.wall_seconds / cost.groups));
  }
  if (cost.wall_seconds > 0) {
    fact("Speed", fmt::format("{:.2f} judgements/s, {:.1f} output tokens/s",
                              static_cast<double>(calls) / cost.wall_seconds,
                              static_cast<double>(cost.output_tokens) / cost.wall_seconds));
  }
  fact("Output tokens",
       count_text(cost.output_tokens) +
           (calls ? fmt::format(" ({:.0f} a judgement)",
                                static_cast<double>(cost.output_tokens) / static_cast<double>(calls))
                  : ""));
  fact("Prompt tokens",
       fmt::format("{} asked, {} computed ({} shared)", count_text(cost.prompt_tokens),
                   count_text(cost.prefilled_tokens),
                   percent_text(cost.prompt_tokens - cost.prefilled_tokens, cost.prompt_tokens)));
  page.add("</dl></section>");
}

void add_items(Page& page, const ReportData& data, const ItemPages& pages) {
  if (data.items.count == 0) return;
  page.add(
      "<section><h2>Judgements</h2><p class=\"meta\">The most telling ones first, with their texts.</p><div "
      "class=\"filter\" hidden>"
      "<input type=\"search\" id=\"search\" placeholder=\"Search the texts\" aria-label=\"Search the "
      "texts\">");
  for (const auto& [reason, name] : kReasons) {
    page.add("<label><input type=\"checkbox\" name=\"why\" value=\"{}\" checked> {}</label>",
             static_cast<unsigned>(reason), name);
  }
  page.add("<span class=\"note\" id=\"shown\"></span></div><p class=\"note paper\">On paper: the first {} of {}.</p><div id=\"items\">",
           std::min(kItemsOnPaper, data.items.count), data.items.count);
  page.out += pages.inside;
  page.add("</div>");
  if (pages.files > 0) {
    page.add(
        "<p class=\"more\" id=\"more\" data-files=\"{}\">{} more are in the folder {} beside this page. <button "
        "type=\"button\" hidden>Show more</button></p>",
        pages.files, count_text(static_cast<std::int64_t>(data.items.count - pages.inside_count)), kItemFolder);
  }
  page.add("</section>");
}

}  // namespace

std::string html(const ReportData& data, const ItemPages& pages) {
  Page page;
  page.add(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file: "
      "data:; style-src 'unsafe-inline'; "
      "script-src 'nonce-{}'; base-uri 'none'; form-action 'none'\"><title>{} – "
      "assize</title><style>{}</style></head><body>",
      kNonce, escaped(data.run), kStyle);
  std::string about = "Judge " + data.judge;
  for (const auto& part : {data.state, data.made, "assize " + data.version}) {
    if (!part.empty()) about += " · " + part;
  }
  page.add("<header><h1>{}</h1><p class=\"meta\">{}</p>", escaped(data.run), escaped(about));
  add_findings(page, data.suites);
  page.add("</header><main>");
  add_headline(page, data.suites);
  for (std::size_t i = 0; i < data.suites.size(); ++i) add_suite(page, data.suites[i], i);
  if (data.cost.wall_seconds > 0 || data.cost.output_tokens > 0) add_cost(page, data);
  add_items(page, data, pages);
  if (!data.job_text.empty()) page.add("<section><h2>Job</h2><pre class=\"job\">{}</pre></section>", escaped(data.job_text));
  page.out += "</main>";
  page.add(
      "<footer>Intervals: 95 %, bootstrap over samples, or over clusters where samples share one. The same "
      "figures are in report.md, metrics.json and "
      "metrics.csv.</footer><script nonce=\"{}\">{}</script></body></html>\n",
      kNonce, kScript);
  return std::move(page.out);
}

}  // namespace assize::report
