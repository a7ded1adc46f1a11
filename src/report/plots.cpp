#include "report/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/svg.h"
#include "report/text.h"

namespace assize::report {
namespace {

constexpr double kWidth = kPanelWidth;

std::string shortened(const std::string& label, std::size_t characters) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < label.size(); ++i) {
    if ((static_cast<unsigned char>(label[i]) & 0xC0) != 0x80 && ++seen > characters)
      return label.substr(0, i) + "…";
  }
  return label;
}

}  // namespace

std::string dot_plot(const std::vector<DotRow>& rows, double low, double high, double reference) {
  const double left = 156, right = kWidth - 56, row_height = 22, top = 6;
  const double bottom = top + row_height * static_cast<double>(rows.size());
  const auto x = [&](double v) {
    return left + (std::clamp(v, low, high) - low) / (high - low) * (right - left);
  };
  Svg svg(kWidth, bottom + 26, "agreement per group with intervals");
  for (const double t : ticks(low, high)) {
    svg.line("grid", x(t), top, x(t), bottom);
    svg.text("tick", x(t), bottom + 16, "middle", tick_text(t));
  }
  if (!std::isnan(reference)) svg.line("reference", x(reference), top, x(reference), bottom);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double y = top + row_height * (static_cast<double>(i) + 0.5);
    const auto& e = rows[i].estimate;
    svg.add("<g><title>{}: {}, n = {}</title>", escaped(rows[i].label), escaped(estimate_text(e)), e.n);
    svg.text("label", left - 12, y + 4, "end",
             shortened(rows[i].label.empty() ? "(no group)" : rows[i].label, 24));
    if (e.defined()) {
      if (e.has_interval()) svg.line("interval", x(e.low), y, x(e.high), y);
      svg.dot("dot", x(e.value), y, 4);
      svg.text("value", kWidth - 2, y + 4, "end", number_text(e.value));
    } else {
      svg.text("tick", left + 4, y + 4, "start", "undefined: " + e.undefined);
    }
    svg.add("</g>");
  }
  return svg.take();
}

std::string interval_bar(const metrics::Estimate& e, double low, double high) {
  const double width = 120, height = 14;
  const auto x = [&](double v) { return 3 + (std::clamp(v, low, high) - low) / (high - low) * (width - 6); };
  Svg svg(width, height, estimate_text(e));
  svg.line("grid", x(low), height / 2, x(high), height / 2);
  if (low < 0) svg.line("grid", x(0), 1, x(0), height - 1);
  if (e.defined()) {
    if (e.has_interval()) svg.line("interval", x(e.low), height / 2, x(e.high), height / 2);
    svg.dot("dot", x(e.value), height / 2, 3);
  }
  return svg.take();
}

std::string curve_plot(const std::vector<metrics::CurvePoint>& curve, const std::string& y_name) {
  double low = 1e9, high = -1e9;
  for (const auto& point : curve) {
    if (!point.estimate.defined()) continue;
    low = std::min(low, point.estimate.low);
    high = std::max(high, point.estimate.high);
  }
  if (low > high) return {};
  const double margin = std::max(0.02, (high - low) * 0.15);
  low -= margin;
  high += margin;
  const double left = 46, right = kWidth - 10, top = 10, bottom = 190;
  const int most = curve.back().votes;
  const auto x = [&](int votes) {
    return most == 1 ? (left + right) / 2 : left + 20 + (right - left - 40) * (votes - 1) / (most - 1);
  };
  const auto y = [&](double v) { return bottom - (v - low) / (high - low) * (bottom - top); };
  Svg svg(kWidth, bottom + 40, y_name + " against the number of votes");
  for (const double t : ticks(low, high)) {
    svg.line("grid", left, y(t), right, y(t));
    svg.text("tick", left - 8, y(t) + 4, "end", tick_text(t));
  }
  std::string band, back, line;
  for (const auto& point : curve) {
    svg.text("tick", x(point.votes), bottom + 17, "middle", fmt::format("{}", point.votes));
    if (!point.estimate.defined()) continue;
    band += fmt::format("{:.1f},{:.1f} ", x(point.votes), y(point.estimate.high));
    back.insert(0, fmt::format("{:.1f},{:.1f} ", x(point.votes), y(point.estimate.low)));
    line += fmt::format("{:.1f},{:.1f} ", x(point.votes), y(point.estimate.value));
  }
  svg.add("<polygon class=\"band\" points=\"{}{}\"/><polyline class=\"curve\" points=\"{}\"/>", band, back,
          line);
  for (const auto& point : curve) {
    if (!point.estimate.defined()) continue;
    svg.add("<g><title>{} votes: {}</title>", point.votes, escaped(estimate_text(point.estimate)));
    svg.dot("dot", x(point.votes), y(point.estimate.value), 4);
    svg.add("</g>");
  }
  svg.text("tick", (left + right) / 2, bottom + 35, "middle", "votes per order");
  return svg.take();
}

std::string calibration_plot(const std::vector<CalibrationPoint>& points, double low, double high) {
  const double left = 46, right = 346, top = 10, bottom = 310;
  const auto x = [&](double v) {
    return left + (std::clamp(v, low, high) - low) / (high - low) * (right - left);
  };
  const auto y = [&](double v) {
    return bottom - (std::clamp(v, low, high) - low) / (high - low) * (bottom - top);
  };
  Svg svg(right + 16, bottom + 40, "mean human score against the judge's score");
  for (const double t : ticks(low, high)) {
    svg.line("grid", left, y(t), right, y(t));
    svg.line("grid", x(t), top, x(t), bottom);
    svg.text("tick", left - 8, y(t) + 4, "end", tick_text(t));
    svg.text("tick", x(t), bottom + 17, "middle", tick_text(t));
  }
  svg.line("reference", x(low), y(low), x(high), y(high));
  for (const auto& point : points) {
    const auto& e = point.human;
    svg.add("<g><title>judge {}: people {}, n = {}</title>", escaped(number_text(point.judge)),
            escaped(estimate_text(e)), e.n);
    if (e.has_interval()) svg.line("interval", x(point.judge), y(e.low), x(point.judge), y(e.high));
    svg.dot("dot", x(point.judge), y(e.value), 4);
    svg.add("</g>");
  }
  svg.text("tick", (left + right) / 2, bottom + 35, "middle",
           "judge's score (across) and mean human score (up)");
  return svg.take();
}

std::string distribution_plot(const std::vector<DistributionBar>& bars) {
  std::int64_t most = 1;
  bool human = false;
  for (const auto& bar : bars) {
    most = std::max({most, bar.judge, bar.human});
    human = human || bar.human > 0;
  }
  const double left = 96, right = kWidth - 52, row_height = human ? 36 : 22, top = 4;
  Svg svg(kWidth, top + row_height * static_cast<double>(bars.size()) + 4, "verdict distribution");
  const auto width = [&](std::int64_t count) {
    return (right - left) * static_cast<double>(count) / static_cast<double>(most);
  };
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = top + row_height * static_cast<double>(i);
    svg.text("label", left - 12, y + row_height / 2 + 3, "end", shortened(bars[i].label, 16));
    svg.add("<rect class=\"judge\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"12\"/>", left, y + 4,
            width(bars[i].judge));
    svg.text("value", left + width(bars[i].judge) + 6, y + 14, "start", count_text(bars[i].judge));
    if (!human) continue;
    svg.add("<rect class=\"human\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"12\"/>", left, y + 17,
            width(bars[i].human));
    svg.text("tick", left + width(bars[i].human) + 6, y + 27, "start", count_text(bars[i].human));
  }
  return svg.take();
}

std::string stacked_bar(const std::vector<std::int64_t>& parts) {
  std::int64_t total = 0;
  for (const auto part : parts) total += part;
  Svg svg(kWidth, 16, "shares");
  double at = 0;
  for (std::size_t i = 0; i < parts.size() && total > 0; ++i) {
    const double width = kWidth * static_cast<double>(parts[i]) / static_cast<double>(total);
    if (parts[i] > 0)
      svg.add("<rect class=\"part-{}\" x=\"{:.1f}\" y=\"0\" width=\"{:.1f}\" height=\"16\"/>", i, at,
              std::max(0.5, width - 1));
    at += width;
  }
  return svg.take();
}

}  // namespace assize::report
