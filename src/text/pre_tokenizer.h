#pragma once

#include <string_view>
#include <variant>
#include <vector>

#include "text/regex.h"

namespace assize::text {

/// What becomes of the stretches that a pattern finds.
enum class SplitBehavior {
  isolated,    ///< each is a piece of its own
  removed,     ///< they are dropped
  contiguous,  ///< neighbours of the same kind (found or not) are one piece
};

/// Which stretches count as found.
enum class SplitInvert { no, yes };

/// Split of tokenizer.json, also the splitting half of ByteLevel.
struct RegexSplit {
  Regex regex;
  SplitBehavior behavior = SplitBehavior::isolated;
  SplitInvert invert = SplitInvert::no;
};

/// Digits of tokenizer.json: numeric characters apart from others, one by one (isolated) or in runs
/// (contiguous).
struct DigitSplit {
  SplitBehavior behavior = SplitBehavior::isolated;
};

using SplitStep = std::variant<RegexSplit, DigitSplit>;

/// Cuts `text` (valid UTF-8) into pieces by each step in turn, every step on each piece of the one before.
/// Pieces are views of `text`, never empty. `pieces` is overwritten.
void pre_tokenize(const std::vector<SplitStep>& steps, std::string_view text,
                  std::vector<std::string_view>& pieces);

}  // namespace assize::text
