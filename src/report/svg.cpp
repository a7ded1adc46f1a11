#include "report/svg.h"

#include <cmath>

#include "report/text.h"

namespace assize::report {

Svg::Svg(double width, double height, const std::string& title) {
  add("<svg viewBox=\"0 0 {:.0f} {:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" role=\"img\" "
      "aria-label=\"{}\">",
      width, height, width, height, escaped(title));
}

void Svg::line(const char* css, double x1, double y1, double x2, double y2) {
  add("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", css, x1, y1, x2, y2);
}

void Svg::dot(const char* css, double x, double y, double radius) {
  add("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>", css, x, y, radius);
}

void Svg::text(const char* css, double x, double y, const char* anchor, std::string_view words) {
  add("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>", css, x, y, anchor,
      escaped(words));
}

std::vector<double> ticks(double low, double high) {
  const double raw = (high - low) / 5;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double ratio = raw / power;
  const double step = power * (ratio <= 1.01 ? 1 : ratio <= 2.01 ? 2 : ratio <= 5.01 ? 5 : 10);
  std::vector<double> out;
  for (double t = std::ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step)
    out.push_back(std::abs(t) < step * 1e-9 ? 0 : t);
  return out;
}

std::string tick_text(double value) {
  std::string digits = fmt::format("{:.4g}", std::abs(value));
  return value < 0 ? "−" + digits : digits;
}

}  // namespace assize::report
