#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "metrics/figure.h"

namespace assize::report {

/// `text` for a terminal: control characters other than newline and tab and bytes that are not UTF-8 as U+FFFD.
std::string printable(std::string_view text);

/// `text` for the inside of an HTML element or a quoted attribute: printable, & < > " ' as entities.
std::string escaped(std::string_view text);

/// `text` for one cell of a Markdown table: one line, | \ ` * _ < > & [ ] escaped.
std::string markdown_cell(std::string_view text);

/// `text` as a CSV field (RFC 4180), quoted where needed. A leading = + - @ that is no number gets an
/// apostrophe, so that spreadsheets run no formula from a data set.
std::string csv_field(std::string_view text);

/// "1 234 567" with narrow no-break spaces.
std::string count_text(std::int64_t count);
/// "12.3 %"; "–" for a total of 0.
std::string percent_text(std::int64_t part, std::int64_t total);
/// Three decimals with a real minus sign.
std::string number_text(double value);
/// "0.532 (0.490 to 0.574)", the value alone without interval, "undefined: why" without value.
std::string estimate_text(const metrics::Estimate& estimate);
/// "2 h 05 min", "3 min 20 s", "12.5 s".
std::string duration_text(double seconds);

}  // namespace assize::report
