#include "throughput/figure_text.h"

#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "report/text.h"

namespace assize::throughput {

std::string three_digits(double value) {
  if (std::isnan(value)) return "–";
  const double size = std::abs(value);
  if (size >= 99.95) return report::count_text(std::llround(value));
  if (value == std::round(value)) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", value, size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
}

std::string figure_text(const FigureMeaning& meaning, double value) {
  if (std::isnan(value)) return "–";
  switch (meaning.unit) {
    case Unit::seconds: return value < 1 ? three_digits(1000 * value) + " ms" : three_digits(value) + " s";
    case Unit::per_second: return three_digits(value) + " /s";
    case Unit::share: return fmt::format("{:.1f} %", 100 * value);
    case Unit::bytes: return report::count_text(std::llround(value / (1024 * 1024))) + " MiB";
    case Unit::blocks:
    case Unit::steps:
    case Unit::calls: return report::count_text(std::llround(value)) + " " + name(meaning.unit);
    case Unit::ratio: break;
  }
  return three_digits(value);
}

}  // namespace assize::throughput
