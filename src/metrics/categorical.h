#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "metrics/figure.h"

namespace assize::metrics {

/// Counts of (truth, prediction) over `classes` classes, row = truth.
struct Confusion {
  std::size_t classes = 0;
  std::vector<double> cells;  ///< classes x classes

  double at(std::size_t truth, std::size_t predicted) const { return cells[truth * classes + predicted]; }
  double total() const;
};

/// The table of two columns of class indices. Throws base::Error for unequal lengths and for an index
/// outside.
Confusion confusion(std::span<const int> truth, std::span<const int> predicted, std::size_t classes,
                    Counts counts = {});

/// Share of equal labels. Undefined for no items. sklearn.metrics.accuracy_score.
Figure accuracy(const Confusion& table);

/// Cohen's kappa (1960), unweighted: (p_o - p_e) / (1 - p_e), p_e from both margins.
/// Undefined for no items and where both sides use one and the same class only (p_e = 1).
/// sklearn.metrics.cohen_kappa_score.
Figure cohen_kappa(const Confusion& table);

/// Means over those of the first `averaged` classes that occur in truth or prediction (0 = of all classes); a
/// class without predictions has precision 0, one without truth recall 0 (sklearn
/// precision_recall_fscore_support with average="macro", zero_division=0, labels=...).
struct MacroScores {
  Figure precision, recall, f1;
};
MacroScores macro_scores(const Confusion& table, std::size_t averaged = 0);

/// Ratings of items by raters: for each item the number of raters who chose each class.
struct RatingTable {
  std::size_t classes = 0;
  std::vector<double> cells;  ///< items x classes

  std::size_t items() const { return classes ? cells.size() / classes : 0; }
};

/// Fleiss' kappa (1971); every item needs the same number (at least 2) of ratings, otherwise undefined, as
/// where one class only occurs. statsmodels.stats.inter_rater.fleiss_kappa.
Figure fleiss_kappa(const RatingTable& table, Counts counts = {});

/// How far apart two classes are in Krippendorff's alpha.
enum class Level : std::uint8_t {
  nominal,  ///< 1 unless equal
  ordinal,  ///< (sum of the margins from one to the other, minus half of both ends)^2
};

/// Krippendorff's alpha = 1 - D_o / D_e (Krippendorff 2011, "Computing Krippendorff's alpha-reliability").
/// Items with fewer than 2 ratings do not count. Undefined without pairable ratings and where one class only
/// occurs. krippendorff.alpha(value_counts=...).
Figure krippendorff_alpha(const RatingTable& table, Level level, Counts counts = {});

/// Krippendorff's alpha of numbers: the distance is (difference)^2, level "interval". Prepared once, then one
/// pass over the items a resample. Undefined as krippendorff_alpha.
class IntervalAlpha {
 public:
  /// The ratings of each item, finite; items with fewer than 2 do not count.
  explicit IntervalAlpha(const std::vector<std::vector<double>>& ratings);
  Figure operator()(Counts counts = {}) const;

 private:
  // Of one item: number of ratings, their sum and sum of squares around the mean of all, the squared differences
  // of its pairs over (number - 1), smallest and largest.
  struct Item {
    double count = 0, sum = 0, squares = 0, within = 0, low = 0, high = 0;
  };
  std::vector<Item> items_;
};

/// Levenshtein distance (1966) of two strings, in bytes, divided by the longer length; 0 for two empty ones.
double normalised_levenshtein(std::string_view a, std::string_view b);

}  // namespace assize::metrics
