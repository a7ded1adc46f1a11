// The report of a throughput job as one page.
#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "report/page.h"
#include "report/style.h"
#include "report/text.h"
#include "throughput/report.h"

namespace assize::throughput {

using report::escaped;
using report::Page;

namespace {

constexpr double kWidth = 470;  // of a plot, as in the other reports

std::string number_text(const FigureMeaning& meaning, double value) {
  if (std::isnan(value)) return "–";
  const std::string_view unit = meaning.unit;
  const std::string_view key = meaning.key;
  if (unit == "s") return value < 1 ? fmt::format("{:.2f} ms", 1000 * value) : fmt::format("{:.2f} s", value);
  if (unit == "B") return fmt::format("{:.0f} MiB", value / (1024 * 1024));
  if (unit == "blocks" || unit == "steps" || unit == "calls") return fmt::format("{:.0f}", value);
  if (unit.empty() && key != "rows_per_step" && key != "encodes_per_image") return fmt::format("{:.1f} %", 100 * value);
  return fmt::format("{:.4g}{}{}", value, unit.empty() ? "" : " ", unit);
}

/// A measured ceiling with the spread of its repeats.
std::string rate_text(double rate, const char* unit, double spread) {
  return rate > 0 ? fmt::format("{:.1f} {} ({:.0f} %)", rate / 1e9, unit, 100 * spread) : "–";
}

std::string sheet_text(const cluster::Ceiling& ceiling) {
  if (ceiling.sheet_flop_per_second > 0) {
    return fmt::format("{:.0f} TFLOP/s, {:.0f} GB/s", ceiling.sheet_flop_per_second / 1e12, ceiling.sheet_bytes_per_second / 1e9);
  }
  return ceiling.flop_per_second > 0 ? "–" : "unknown device";
}

void add_figures(Page& page, const Measurement& run) {
  const std::vector<Figure> all = figures(run);
  page.add("<div class=\"full\"><div class=\"scroll\"><table class=\"wide\"><thead><tr><th>Figure</th><th class=\"n\">Whole run</th>"
           "<th class=\"n\">Warm-up</th><th class=\"n\">Steady</th><th class=\"n\">Tail</th></tr></thead><tbody>");
  for (const FigureMeaning& meaning : figure_meanings()) {
    const auto is_it = [&](const Figure& figure) { return figure.meaning == &meaning; };
    if (std::none_of(all.begin(), all.end(), is_it)) continue;
    page.add("<tr><td>{}</td>", escaped(meaning.label));
    for (const Phase phase : {Phase::whole, Phase::warm_up, Phase::steady, Phase::tail}) {
      const auto found = std::find_if(all.begin(), all.end(), [&](const Figure& figure) {
        return figure.group < 0 && figure.phase == phase && figure.meaning == &meaning;
      });
      page.add("<td class=\"{}\">{}</td>", phase == Phase::whole ? "v" : "n",
               found == all.end() ? "" : escaped(number_text(meaning, found->value)));
    }
    page.add("</tr>");
  }
  page.add("</tbody></table></div></div>");
}

void add_groups(Page& page, const Measurement& run) {
  const std::vector<Figure> all = figures(run);
  constexpr const char* kKeys[] = {"judgements_per_second", "output_tokens_per_second", "flop_use", "bandwidth_use",
                                   "idle_slot_share", "tail_share", "kv_blocks_high_water", "admission_waits", "evictions"};
  page.add("<div class=\"full\"><h3>Per group</h3><div class=\"scroll\"><table class=\"wide\"><thead><tr><th>Group</th>"
           "<th class=\"n\">Multiply-adds</th><th class=\"n\">Reads</th><th class=\"n\">Data sheet</th>");
  for (const FigureMeaning& meaning : figure_meanings()) {
    if (std::find(std::begin(kKeys), std::end(kKeys), std::string_view(meaning.key)) == std::end(kKeys)) continue;
    page.add("<th class=\"n\">{}</th>", escaped(meaning.label));
  }
  page.add("</tr></thead><tbody>");
  for (std::size_t group = 0; group < run.group.size(); ++group) {
    const cluster::Progress::Group& state = run.group[group];
    page.add("<tr><td>{} ({}, {} slots, threads: {})</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>", group,
             escaped(state.about), state.slots, state.ceiling.threads,
             rate_text(state.ceiling.flop_per_second, "GFLOP/s", state.ceiling.flop_spread),
             rate_text(state.ceiling.bytes_per_second, "GB/s", state.ceiling.bytes_spread), sheet_text(state.ceiling));
    for (const FigureMeaning& meaning : figure_meanings()) {
      if (std::find(std::begin(kKeys), std::end(kKeys), std::string_view(meaning.key)) == std::end(kKeys)) continue;
      page.add("<td class=\"n\">{}</td>",
               escaped(number_text(meaning, value_of(all, static_cast<int>(group), Phase::whole, meaning.key))));
    }
    page.add("</tr>");
  }
  page.add("</tbody></table></div><p class=\"note\">Multiply-adds and reads: what the group's processors reached in a probe just before "
           "the run, the median of seven repeats; in brackets (largest - least) / median. A wide spread means that something else "
           "ran on the machine: shares of these ceilings are then as uncertain. Data sheet: of a GPU, for which there is no "
           "probe.</p></div>");
}

void add_histogram(Page& page, const Measurement& run) {
  const auto bins = step_bins(run);
  const auto first = std::find_if(bins.begin(), bins.end(), [](auto n) { return n > 0; });
  if (first == bins.end()) return;
  const auto begin = static_cast<std::size_t>(first - bins.begin());
  std::size_t end = bins.size();
  while (bins[end - 1] == 0) --end;
  const double most = static_cast<double>(*std::max_element(bins.begin(), bins.end()));
  const double height = 130, bar = std::min(40.0, (kWidth - 20) / static_cast<double>(end - begin));
  page.add("<div><h3>Steps by their length</h3><figure><svg viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
           "role=\"img\" aria-label=\"steps by their length\">", kWidth, height + 40);
  for (std::size_t bin = begin; bin < end; ++bin) {
    const double x = 10 + bar * static_cast<double>(bin - begin), tall = height * static_cast<double>(bins[bin]) / most;
    page.add("<rect class=\"judge\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>below {:.2f} ms: {} steps</title>"
             "</rect>", x + 1, height + 10 - tall, bar - 2, tall, 1000 * cluster::step_bin_end(bin), bins[bin]);
    if ((bin - begin) % 4 == 0) {
      page.add("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.3g}</text>", x + bar / 2, height + 28,
               1000 * cluster::step_bin_end(bin));
    }
  }
  page.add("</svg><figcaption>Upper ends of the bins in milliseconds.</figcaption></figure></div>");
}

/// Speed-up (strong) or efficiency (weak) against the number of groups, with the ideal.
void add_scaling_plot(Page& page, const std::vector<const Measurement*>& runs, bool strong) {
  const double base = runs.front()->wall_seconds * (strong ? runs.front()->groups : 1);
  const double most = runs.back()->groups, top = strong ? most : 1;
  const double left = 44, right = kWidth - 24, bottom = 190, upper = 12;
  const auto x = [&](double groups) { return most > 1 ? left + (groups - 1) / (most - 1) * (right - left) : left; };
  const auto y = [&](double value) { return bottom - std::min(value / top, 1.15) / 1.15 * (bottom - upper); };
  page.add("<div><h3>{0}</h3><figure><svg viewBox=\"0 0 {2:.0f} 225\" width=\"{2:.0f}\" height=\"225\" role=\"img\" "
           "aria-label=\"{1}\">", strong ? "Strong scaling: the same work, more groups" : "Weak scaling: as much work a group",
           strong ? "speed-up against groups" : "efficiency against groups", kWidth);
  page.add("<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\"/>", left, bottom, right);
  page.add("<line class=\"reference\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", x(1), y(1), x(most), y(top));
  std::string line;
  for (const Measurement* run : runs) {
    const double value = base / run->wall_seconds;
    line += fmt::format("{:.1f},{:.1f} ", x(run->groups), y(value));
    page.add("<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/><text class=\"value\" x=\"{:.1f}\" y=\"{:.1f}\" "
             "text-anchor=\"middle\">{:.2f}</text><text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
             x(run->groups), y(value), x(run->groups), y(value) - 9, value, x(run->groups), bottom + 18, run->groups);
  }
  page.add("<polyline class=\"curve\" points=\"{}\"/></svg><figcaption>{} Dashed: ideal.</figcaption></figure></div>", line,
           strong ? "Time of one group / time, over the number of groups." : "Time of one group / time of N groups with N times the work.");
}

const Measurement& most_groups(const std::vector<Measurement>& runs) {
  return *std::max_element(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.groups < b.groups; });
}

void add_scaling(Page& page, const ThroughputReport& report) {
  page.add("<section><h2>Scaling</h2><div class=\"panels\">");
  for (const char* series : {"strong", "weak"}) {
    std::vector<const Measurement*> runs;
    for (const Measurement& run : report.runs) {
      if (run.series == series) runs.push_back(&run);
    }
    // With all groups the weak run is the strong one.
    if (std::string_view(series) == "weak" && !runs.empty()) runs.push_back(&most_groups(report.runs));
    if (runs.size() > 1) add_scaling_plot(page, runs, std::string_view(series) == "strong");
  }
  page.add("<div class=\"full\"><div class=\"scroll\"><table class=\"wide\"><thead><tr><th>Run</th><th class=\"n\">Groups</th>"
           "<th class=\"n\">Calls</th><th class=\"n\">Seconds</th><th class=\"n\">Judgements/s</th><th class=\"n\">Efficiency</th>"
           "<th class=\"n\">Tail</th></tr></thead><tbody>");
  const Measurement& first = report.runs.front();
  for (const Measurement& run : report.runs) {
    const double work = static_cast<double>(run.asked.calls) / static_cast<double>(first.asked.calls);
    const double efficiency = work * first.wall_seconds * first.groups / (run.wall_seconds * run.groups);
    const auto all = figures(run);
    page.add("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2f}</td><td class=\"n\">{:.3g}</td>"
             "<td class=\"v\">{:.1f} %</td><td class=\"n\">{:.1f} %</td></tr>", escaped(run.name), run.groups, run.asked.calls,
             run.wall_seconds, static_cast<double>(run.asked.calls) / run.wall_seconds, 100 * efficiency,
             100 * value_of(all, -1, Phase::whole, "tail_share"));
  }
  page.add("</tbody></table></div><p class=\"note\">Efficiency: work of the run / work of the first x time of the first x its groups / "
           "(time x groups); start-up excluded, tail included.</p></div></div></section>");
}

void add_run(Page& page, const Measurement& run) {
  page.add("<section><h2>{}</h2><p class=\"meta\">{} calls ({} failed), {} prompts of {:.0f} tokens, {:.0f} % of them common beginnings; "
           "{} pictures; {:.2f} s; first judgement after {:.2f} s</p><div class=\"panels\">",
           run.name.empty() ? "Speed" : escaped(run.name), run.asked.calls, run.failed, run.asked.prompts,
           static_cast<double>(run.asked.prompt_tokens) / static_cast<double>(std::max<std::uint64_t>(1, run.asked.prompts)),
           100 - 100 * static_cast<double>(run.asked.distinct_prompt_tokens) /
                     static_cast<double>(std::max<std::uint64_t>(1, run.asked.prompt_tokens)),
           run.asked.images, run.wall_seconds, run.first_judgement_seconds);
  add_figures(page, run);
  add_histogram(page, run);
  add_groups(page, run);
  page.add("</div></section>");
}

}  // namespace

std::string html(const ThroughputReport& report) {
  Page page;
  page.add("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
           "content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
           "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\"><title>{} – assize</title><style>{}</style></head><body>",
           escaped(report.run), report::kStyle);
  page.add("<header><h1>{}</h1><p class=\"meta\">Throughput of judge {} · {} · {} · assize {}</p></header><main>", escaped(report.run),
           escaped(report.judge), escaped(report.machine), escaped(report.made), escaped(report.version));
  if (report.runs.size() > 1) add_scaling(page, report);
  for (const Measurement& run : report.runs) add_run(page, run);
  page.add("<section><h2>What the figures mean</h2><dl class=\"facts\">");
  for (const FigureMeaning& meaning : figure_meanings()) page.add("<dt>{}</dt><dd>{}</dd>", escaped(meaning.label), escaped(meaning.meaning));
  page.add("</dl><p class=\"note\">Warm-up: until the first judgement of a group has ended. Tail: after at least half of its slots were in "
           "use for the last time. Steady: between; none where the work does not fill the slots long enough.</p></section>");
  page.add("<section><h2>Job</h2><pre class=\"job\">{}</pre></section></main><footer>The same figures are in metrics.json and in "
           "/throughput of results.h5.</footer></body></html>\n", escaped(report.job_text));
  return std::move(page.out);
}

}  // namespace assize::throughput
