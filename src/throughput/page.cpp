// The report of a throughput job as one page.
#include <algorithm>
#include <cmath>
#include <initializer_list>

#include <fmt/format.h>

#include "report/page.h"
#include "report/plots.h"
#include "report/style.h"
#include "report/svg.h"
#include "report/text.h"
#include "throughput/figure_text.h"
#include "throughput/report.h"

namespace assize::throughput {

using report::escaped;
using report::Page;

namespace {

/// A measured ceiling with the spread of its repeats.
std::string ceiling_text(double rate, const char* unit, double spread) {
  return rate > 0 ? fmt::format("{:.1f} {} ({:.0f} %)", rate / 1e9, unit, 100 * spread) : "–";
}

std::string sheet_text(const cluster::Ceiling& ceiling) {
  if (ceiling.sheet_flop_per_second > 0) {
    return fmt::format("{:.0f} TFLOP/s, {:.0f} GB/s", ceiling.sheet_flop_per_second / 1e12, ceiling.sheet_bytes_per_second / 1e9);
  }
  return ceiling.flop_per_second > 0 ? "–" : "unknown";
}

/// Whether a run has numbers of this kind: of a data sheet, for instance, only on a GPU that is known.
bool has(std::span<const Figure> all, const FigureMeaning& meaning) {
  return std::any_of(all.begin(), all.end(), [&](const Figure& figure) { return figure.meaning == &meaning; });
}

void add_figures(Page& page, const Measurement& run) {
  const std::vector<Figure> all = figures(run);
  page.add("<div class=\"full\"><div class=\"scroll\"><table class=\"wide figures\"><thead><tr><th>Figure</th>"
           "<th class=\"n\">Whole run</th><th class=\"n\">Warm-up</th><th class=\"n\">Steady</th><th class=\"n\">Tail</th></tr>"
           "</thead><tbody>");
  for (const FigureMeaning& meaning : figure_meanings()) {
    if (!has(all, meaning)) continue;
    page.add("<tr><td><abbr title=\"{}\">{}</abbr></td>", escaped(meaning.meaning), escaped(meaning.label));
    for (const Phase phase : {Phase::whole, Phase::warm_up, Phase::steady, Phase::tail}) {
      const auto found = std::find_if(all.begin(), all.end(), [&](const Figure& figure) {
        return figure.group < 0 && figure.phase == phase && figure.meaning == &meaning;
      });
      page.add("<td class=\"{}\">{}</td>", phase == Phase::whole ? "v" : "n",
               found == all.end() ? "" : escaped(figure_text(meaning, found->value)));
    }
    page.add("</tr>");
  }
  page.add("</tbody></table></div></div>");
}

/// Some figures of the whole run, a line for each group.
void add_group_table(Page& page, const char* title, const Measurement& run, std::span<const Figure> all,
                     std::initializer_list<std::string_view> keys) {
  std::vector<const FigureMeaning*> columns;
  for (const FigureMeaning& meaning : figure_meanings()) {
    if (has(all, meaning) && std::find(keys.begin(), keys.end(), meaning.key) != keys.end()) columns.push_back(&meaning);
  }
  page.add("<h3>{}</h3><div class=\"scroll\"><table class=\"wide figures\"><thead><tr><th>Group</th>", title);
  for (const FigureMeaning* meaning : columns) page.add("<th class=\"n\">{}</th>", escaped(meaning->label));
  page.add("</tr></thead><tbody>");
  for (std::size_t group = 0; group < run.group.size(); ++group) {
    page.add("<tr><td>{}</td>", group);
    for (const FigureMeaning* meaning : columns) {
      page.add("<td class=\"n\">{}</td>",
               escaped(figure_text(*meaning, value_of(all, static_cast<int>(group), Phase::whole, meaning->key))));
    }
    page.add("</tr>");
  }
  page.add("</tbody></table></div>");
}

void add_ceilings(Page& page, const Measurement& run) {
  // There is no probe of a GPU, so that one without a data sheet has nothing to be compared with: which is said.
  const bool sheets = run.work.layer_flop > 0 && std::any_of(run.group.begin(), run.group.end(), [](const auto& state) { return state.ceiling.flop_per_second <= 0; });
  page.add("<h3>What the processors can do</h3><div class=\"scroll\"><table class=\"wide figures\"><thead><tr><th>Group</th>"
           "<th>Where</th><th class=\"n\">Slots</th><th class=\"n\">Threads</th><th class=\"n\">Multiply-adds</th>"
           "<th class=\"n\">Memory reads</th>{}</tr></thead><tbody>", sheets ? "<th class=\"n\">Data sheet</th>" : "");
  for (std::size_t group = 0; group < run.group.size(); ++group) {
    const cluster::Progress::Group& state = run.group[group];
    page.add("<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
             "{}</tr>", group, escaped(state.about), state.slots, state.ceiling.threads,
             ceiling_text(state.ceiling.flop_per_second, "GFLOP/s", state.ceiling.flop_spread),
             ceiling_text(state.ceiling.bytes_per_second, "GB/s", state.ceiling.bytes_spread),
             sheets ? "<td class=\"n\">" + sheet_text(state.ceiling) + "</td>" : "");
  }
  page.add("</tbody></table></div><p class=\"note\">Slots: calls in work at the same time. Multiply-adds (two operations each) and memory "
           "reads: what the group's processors reached in a probe just before the run, the best of seven repeats; in brackets "
           "best / worst - 1. A wide spread means that something else ran on the machine: shares of these ceilings are then "
           "as uncertain. All groups are probed at the same time: where groups share processors, fewer groups can do more than 100 % of "
           "it.{}</p>", sheets ? " Data sheet: of a GPU, for which there is no probe." : "");
}

/// What the groups did, where there are several, and what they ran on.
void add_groups(Page& page, const Measurement& run) {
  const std::vector<Figure> all = figures(run);
  page.add("<div class=\"full\">");
  if (run.group.size() > 1) {
    add_group_table(page, "Speed of each group", run, all,
                    {"judgements_per_second", "prompt_tokens_asked_per_second", "prompt_tokens_computed_per_second",
                     "output_tokens_per_second", "seconds_per_output_token", "rows_per_step"});
    add_group_table(page, "Use of each group", run, all,
                    {"flop_use", "asked_flop_use", "bandwidth_use", "sheet_flop_use", "sheet_bandwidth_use", "model_share", "plan_share", "idle_slot_share", "tail_share"});
    add_group_table(page, "Memory and reuse of each group", run, all,
                    {"kv_blocks_high_water", "prefix_reuse", "fork_reuse", "admission_waits", "evictions", "peak_memory_bytes"});
  }
  add_ceilings(page, run);
  page.add("</div>");
}

void add_times(Page& page, const Measurement& run) {
  const TimeShares shares = time_shares(run);
  if (shares.computing <= 0) return;
  const auto part = [](double share) { return static_cast<std::int64_t>(std::llround(1e6 * share)); };
  page.add("<div><h3>Where the time went</h3><figure>{}<ul class=\"key\"><li class=\"k0\"><b>{:.1f} %</b> computing</li>"
           "<li class=\"k1\"><b>{:.1f} %</b> planning</li><li class=\"k3\"><b>{:.1f} %</b> reading prompts, waiting for pictures, messages or "
           "work</li></ul></figure></div>",
           report::stacked_bar({part(shares.computing), part(shares.planning), 0, part(shares.other)}), 100 * shares.computing,
           100 * shares.planning, 100 * shares.other);
}

void add_histogram(Page& page, const Measurement& run) {
  const auto bins = step_bins(run);
  const auto first = std::find_if(bins.begin(), bins.end(), [](auto n) { return n > 0; });
  if (first == bins.end()) return;
  const auto begin = static_cast<std::size_t>(first - bins.begin());
  std::size_t end = bins.size();
  while (bins[end - 1] == 0) --end;
  const double most = static_cast<double>(*std::max_element(bins.begin(), bins.end()));
  const double left = 52, right = report::kPanelWidth - 18, top = 10, bottom = 150;
  const double bar = std::min(44.0, (right - left) / static_cast<double>(end - begin));
  const auto x = [&](std::size_t bin) { return left + bar * static_cast<double>(bin - begin); };
  const auto y = [&](double steps) { return bottom - steps / most * (bottom - top); };
  report::Svg svg(report::kPanelWidth, bottom + 42, "steps by their length");
  for (const double t : report::ticks(0, most)) {
    if (t != std::round(t)) continue;  // of a few steps
    svg.line("grid", left, y(t), right, y(t));
    svg.text("tick", left - 8, y(t) + 4, "end", report::count_text(std::llround(t)));
  }
  for (std::size_t bin = begin; bin < end; ++bin) {
    const bool last = bin + 1 == bins.size();
    svg.add("<rect class=\"judge\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{} to {} ms: {} steps</title></rect>",
            x(bin) + 1, y(static_cast<double>(bins[bin])), bar - 2, bottom - y(static_cast<double>(bins[bin])),
            bin == 0 ? "0" : three_digits(1000 * cluster::step_bin_end(bin - 1)),
            last ? "more" : three_digits(1000 * cluster::step_bin_end(bin)), report::count_text(static_cast<std::int64_t>(bins[bin])));
  }
  // The edges between bars, as many as have room.
  const auto stride = static_cast<std::size_t>(std::ceil(38 / bar));
  for (std::size_t edge = begin; edge <= end; edge += stride) {
    if (edge == bins.size()) break;
    svg.line("grid", x(edge), bottom, x(edge), bottom + 5);
    svg.text("tick", x(edge), bottom + 19, "middle", edge == 0 ? "0" : three_digits(1000 * cluster::step_bin_end(edge - 1)));
  }
  svg.text("tick", (left + right) / 2, bottom + 37, "middle", "length of a step in ms (across) and number of steps (up)");
  page.add("<div><h3>Steps by their length</h3><figure>{}<figcaption>The steps of a bar are up to √2 times as long as those of the bar "
           "before it.</figcaption></figure></div>", svg.take());
}

/// Speed-up (strong) or efficiency (weak) against the number of groups, with the ideal.
void add_scaling_plot(Page& page, const std::vector<const Measurement*>& runs, bool strong) {
  const double base = runs.front()->wall_seconds * (strong ? runs.front()->groups : 1);
  const double fewest = runs.front()->groups, most = runs.back()->groups;
  double high = strong ? most : 1;
  for (const Measurement* run : runs) high = std::max(high, base / run->wall_seconds);
  high *= 1.12;
  const double left = 44, right = report::kPanelWidth - 24, bottom = 190, top = 8;
  const auto x = [&](double groups) { return left + 16 + (groups - fewest) / (most - fewest) * (right - left - 32); };
  const auto y = [&](double value) { return bottom - value / high * (bottom - top); };
  report::Svg svg(report::kPanelWidth, bottom + 40, strong ? "speed-up against groups" : "efficiency against groups");
  for (const double t : report::ticks(0, high)) {
    svg.line("grid", left, y(t), right, y(t));
    svg.text("tick", left - 8, y(t) + 4, "end", report::tick_text(t));
  }
  svg.line("reference", x(fewest), y(strong ? fewest : 1), x(most), y(strong ? most : 1));
  std::string line;
  for (const Measurement* run : runs) line += fmt::format("{:.1f},{:.1f} ", x(run->groups), y(base / run->wall_seconds));
  svg.add("<polyline class=\"curve\" points=\"{}\"/>", line);
  for (const Measurement* run : runs) {
    const double value = base / run->wall_seconds;
    svg.dot("dot", x(run->groups), y(value), 4);
    svg.text("value", x(run->groups), y(value) + 18, "middle", fmt::format("{:.2f}", value));
    svg.text("tick", x(run->groups), bottom + 18, "middle", fmt::format("{}", run->groups));
  }
  svg.text("tick", (left + right) / 2, bottom + 36, "middle", strong ? "groups (across) and speed-up (up)" : "groups (across) and efficiency (up)");
  page.add("<div><h3>{}</h3><figure>{}<figcaption>{} Dashed: ideal.</figcaption></figure></div>",
           strong ? "Strong scaling: the same work, more groups" : "Weak scaling: as much work a group", svg.take(),
           strong ? "Time of the fewest groups x their number / time." : "Time of the fewest groups / time of N groups with as much work a group.");
}

const Measurement& most_groups(const std::vector<Measurement>& runs) {
  return *std::max_element(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.groups < b.groups; });
}

void add_scaling(Page& page, const ThroughputReport& report) {
  page.add("<section><h2>Scaling</h2><div class=\"panels\">");
  std::string lines;
  for (const char* series : {"strong", "weak"}) {
    std::vector<const Measurement*> runs;
    for (const Measurement& run : report.runs) {
      if (run.series == series) runs.push_back(&run);
    }
    if (std::string_view(series) == "weak" && !runs.empty()) runs.push_back(&most_groups(report.runs));
    if (runs.size() > 1) add_scaling_plot(page, runs, std::string_view(series) == "strong");
    for (const Measurement* run : runs) {
      const Measurement& first = *runs.front();
      const double work = static_cast<double>(run->asked.calls) / static_cast<double>(first.asked.calls);
      const double efficiency = work * first.wall_seconds * first.groups / (run->wall_seconds * run->groups);
      lines += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} /s</td>"
                           "<td class=\"v\">{:.1f} %</td><td class=\"n\">{:.1f} %</td></tr>", series, run->groups, run->asked.calls,
                           report::duration_text(run->wall_seconds),
                           three_digits(static_cast<double>(run->asked.calls) / run->wall_seconds), 100 * efficiency,
                           100 * value_of(figures(*run), -1, Phase::whole, "tail_share"));
    }
  }
  page.add("<div class=\"full\"><h3>Runs</h3><div class=\"scroll\"><table class=\"wide figures\"><thead><tr><th>Series</th>"
           "<th class=\"n\">Groups</th><th class=\"n\">Calls</th><th class=\"n\">Time</th><th class=\"n\">Judgements</th>"
           "<th class=\"n\">Efficiency</th><th class=\"n\">Tail</th></tr></thead><tbody>{}</tbody></table></div><p class=\"note\">Efficiency: "
           "calls a second and group / those of the series' first run; start-up excluded, tail included. With all groups the weak run is "
           "the strong one.</p></div></div></section>", lines);
}

/// "Speed" of the only run, "Strong scaling, 2 groups" of one of a series.
std::string title(const Measurement& run) {
  if (run.series.empty()) return "Speed";
  return fmt::format("{} scaling, {} group{}", run.series == "strong" ? "Strong" : "Weak", run.groups, run.groups == 1 ? "" : "s");
}

/// What was asked, in a line: "160 calls (0 failed), 32 prompts of 395 tokens …".
std::string asked_text(const Measurement& run) {
  std::string text = fmt::format("{} calls ({} failed)", report::count_text(static_cast<std::int64_t>(run.asked.calls)), run.failed);
  if (run.asked.prompt_tokens > 0) {
    const auto prompts = static_cast<double>(run.asked.prompts), tokens = static_cast<double>(run.asked.prompt_tokens);
    text += fmt::format(", {} prompts of {:.0f} tokens, {:.0f} % of them common beginnings; {} pictures", run.asked.prompts, tokens / prompts,
                        100 - 100 * static_cast<double>(run.asked.distinct_prompt_tokens) / tokens, run.asked.images);
  }
  return text;
}

void add_run(Page& page, const Measurement& run) {
  page.add("<section><h2>{}</h2><p class=\"meta\">{}; {}; first judgement after {}{}</p><div class=\"panels\">", title(run), asked_text(run),
           report::duration_text(run.wall_seconds), report::duration_text(run.first_judgement_seconds),
           run.series.empty() ? " from the start of the program" : "");
  add_figures(page, run);
  add_times(page, run);
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
  for (const FigureMeaning& meaning : figure_meanings()) {
    const auto shown = [&](const Measurement& run) { return has(figures(run), meaning); };
    if (std::none_of(report.runs.begin(), report.runs.end(), shown)) continue;
    page.add("<dt>{}</dt><dd>{}</dd>", escaped(meaning.label), escaped(meaning.meaning));
  }
  page.add("</dl><p class=\"note\">Warm-up: until the first judgement of a group has ended. Tail: after at least half of its slots were in "
           "use for the last time. Steady: between; none where the work does not fill the slots long enough.</p></section>");
  page.add("<section><h2>Job</h2><pre class=\"job\">{}</pre></section></main><footer>The same figures are in metrics.json and in "
           "/throughput of results.h5.</footer></body></html>\n", escaped(report.job_text));
  return std::move(page.out);
}

}  // namespace assize::throughput
