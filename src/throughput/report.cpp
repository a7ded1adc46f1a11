#include "throughput/report.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "throughput/figure_text.h"

namespace assize::throughput {

using nlohmann::ordered_json;

namespace {

ordered_json number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr); }

ordered_json run_json(const Measurement& run) {
  ordered_json json;
  json["name"] = run.name;
  json["groups"] = run.groups;
  json["wall_seconds"] = run.wall_seconds;
  json["first_judgement_seconds"] = run.first_judgement_seconds;
  json["calls"] = run.asked.calls;
  json["failed"] = run.failed;
  json["prompts"] = run.asked.prompts;
  json["prompt_tokens"] = run.asked.prompt_tokens;
  json["distinct_prompt_tokens"] = run.asked.distinct_prompt_tokens;
  json["images"] = run.asked.images;
  for (const auto& group : run.group) {
    json["ceilings"].push_back({{"about", group.about},
                                {"slots", group.slots},
                                {"threads", group.ceiling.threads},
                                {"flop_per_second", group.ceiling.flop_per_second},
                                {"bytes_per_second", group.ceiling.bytes_per_second},
                                {"flop_spread", group.ceiling.flop_spread},
                                {"bytes_spread", group.ceiling.bytes_spread},
                                {"sheet_flop_per_second", group.ceiling.sheet_flop_per_second},
                                {"sheet_bytes_per_second", group.ceiling.sheet_bytes_per_second}});
  }
  const std::vector<Figure> all = figures(run);
  for (const Figure& figure : all) {
    const std::string scope = figure.group < 0 ? "all" : fmt::format("group {}", figure.group);
    json["figures"][scope][name(figure.phase)][figure.meaning->key] = number(figure.value);
  }
  const auto bins = step_bins(run);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    if (bins[i]) json["step_seconds"].push_back({{"below", cluster::step_bin_end(i)}, {"steps", bins[i]}});
  }
  return json;
}

}  // namespace

std::vector<results::ThroughputRow> rows(const ThroughputReport& report) {
  std::vector<results::ThroughputRow> out;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Measurement& run : report.runs) {
    for (const Figure& figure : figures(run)) {
      out.push_back({run.name, figure.group, name(figure.phase), figure.meaning->key, name(figure.meaning->unit), figure.value});
    }
    out.push_back({run.name, -1, "whole", "wall_seconds", "s", run.wall_seconds});
    out.push_back({run.name, -1, "whole", "first_judgement_seconds", "s",
                   run.first_judgement_seconds > 0 ? run.first_judgement_seconds : nan});
    for (std::size_t group = 0; group < run.group.size(); ++group) {
      const cluster::Ceiling& ceiling = run.group[group].ceiling;
      const auto index = static_cast<std::int32_t>(group);
      out.push_back({run.name, index, "whole", "ceiling_flop_per_second", "1/s", ceiling.flop_per_second});
      out.push_back({run.name, index, "whole", "ceiling_bytes_per_second", "B/s", ceiling.bytes_per_second});
    }
    const auto bins = step_bins(run);
    for (std::size_t i = 0; i < bins.size(); ++i) {
      out.push_back({run.name, -1, "whole", fmt::format("steps_below_{:.6f}", cluster::step_bin_end(i)), "steps",
                     static_cast<double>(bins[i])});
    }
  }
  return out;
}

std::string metrics_json(const ThroughputReport& report) {
  ordered_json json;
  json["run"] = report.run;
  json["judge"] = report.judge;
  json["version"] = report.version;
  json["machine"] = report.machine;
  for (const Measurement& run : report.runs) json["runs"].push_back(run_json(run));
  for (const FigureMeaning& meaning : figure_meanings()) {
    json["meanings"][meaning.key] = {{"unit", name(meaning.unit)}, {"meaning", meaning.meaning}};
  }
  return json.dump(1) + "\n";
}

std::string summary(const ThroughputReport& report) {
  std::string out;
  for (const Measurement& run : report.runs) {
    const std::vector<Figure> all = figures(run);
    const auto value = [&](Phase phase, const char* key) { return value_of(all, -1, phase, key); };
    const auto rate = [&](const char* key) { return three_digits(value(Phase::whole, key)); };
    out += fmt::format("{}{} calls in {:.2f} s by {} group{}: {} judgements/s, {} output tokens/s, {} prompt tokens/s asked and {} computed\n",
                       run.name.empty() ? "" : run.name + ": ", run.asked.calls, run.wall_seconds, run.groups,
                       run.groups == 1 ? "" : "s", rate("judgements_per_second"), rate("output_tokens_per_second"),
                       rate("prompt_tokens_asked_per_second"), rate("prompt_tokens_computed_per_second"));
    if (const double flop = value(Phase::whole, "sheet_flop_use"); !std::isnan(flop)) {
      out += fmt::format("  of the GPU's data sheet: {:.1f} % of the matrix products, {:.1f} % of the memory reads\n", 100 * flop,
                         100 * value(Phase::whole, "sheet_bandwidth_use"));
    }
    if (std::isnan(value(Phase::whole, "flop_use"))) continue;
    out += fmt::format("  of the measured ceiling: {:.1f} % of the multiply-adds, {:.1f} % of the memory reads; {:.1f} % of the perfect "
                       "engine; tail {:.1f} %\n",
                       100 * value(Phase::whole, "flop_use"), 100 * value(Phase::whole, "bandwidth_use"),
                       100 * value(Phase::whole, "perfect_share"), 100 * value(Phase::whole, "tail_share"));
  }
  return out;
}

}  // namespace assize::throughput
