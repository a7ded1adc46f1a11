#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace assize::report {

/// Width of a plot in a panel of the page, in px: drawn at its natural size, so that its text keeps the size of the page's.
inline constexpr double kPanelWidth = 470;

/// An inline SVG that is being drawn; colours and fonts come from the classes of the page's style sheet. Coordinates in
/// px, y downwards.
class Svg {
 public:
  /// `title` is what is read aloud in its place.
  Svg(double width, double height, const std::string& title);
  template <class... T>
  void add(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<T>(values)...);
  }
  void line(const char* css, double x1, double y1, double x2, double y2);
  void dot(const char* css, double x, double y, double radius);
  /// `anchor`: "start", "middle" or "end".
  void text(const char* css, double x, double y, const char* anchor, std::string_view words);
  std::string take() { return std::move(out_) + "</svg>"; }

 private:
  std::string out_;
};

/// About five round steps over [low, high].
std::vector<double> ticks(double low, double high);
/// A tick's number with a real minus sign.
std::string tick_text(double value);

}  // namespace assize::report
