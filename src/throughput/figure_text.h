#pragma once

#include <string>

#include "throughput/figures.h"

namespace assize::throughput {

/// A number of three digits or more, never in powers of ten: "0.166", "15.9", "1158", "21 380" (narrow no-break space); "–" for NaN.
std::string three_digits(double value);
/// A figure with its unit: "49.7 ms", "21 380 /s", "40.0 %", "174 blocks"; "–" where it is not defined.
std::string figure_text(const FigureMeaning& meaning, double value);

}  // namespace assize::throughput
