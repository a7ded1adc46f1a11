#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "metrics/figure.h"

namespace assize::metrics {

/// Comparisons of systems two at a time: cell (i, j) is how often i won against j; a tie is half a win for
/// both.
struct WinTable {
  std::size_t systems = 0;
  std::vector<double> wins;  ///< systems x systems

  double at(std::size_t i, std::size_t j) const { return wins[i * systems + j]; }
};

/// Bradley-Terry strengths (Bradley & Terry 1952): P(i wins against j) = e^s_i / (e^s_i + e^s_j), by maximum
/// likelihood (the minorise-maximise iteration of Hunter 2004), natural logarithms with mean 0. `undefined`
/// says why there are none: the likelihood has a maximum only where no set of systems never loses to the
/// others.
struct Strengths {
  std::vector<double> values;  ///< one per system
  const char* undefined = nullptr;
};
Strengths bradley_terry(const WinTable& table);

/// Which differences count as a tie so that most of them agree with people (Deutsch, Foster & Freitag 2023,
/// "Ties Matter"): |margin| <= threshold is a tie. `truth` holds the signs that people gave (1, 0, -1),
/// `margins` the judge's differences. The smallest of several best thresholds; 0 ties equal scores only.
struct TieCalibration {
  double threshold = 0;
  std::int64_t agreeing = 0;  ///< of all, with this threshold
};
TieCalibration calibrate_ties(std::span<const int> truth, std::span<const double> margins);

/// Whether a difference says what people say, where |margin| <= threshold is a tie.
bool concordant(int truth, double margin, double threshold);

}  // namespace assize::metrics
