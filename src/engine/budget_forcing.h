#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace assize::engine {

/// Budget forcing (Muennighoff et al. 2025, "s1: Simple test-time scaling"): each of the first `rounds` times that a
/// generation comes to hold `end`, it goes back to just before it and goes on with `instead`.
struct BudgetForcing {
  std::int32_t rounds = 0;  ///< 0: off
  std::string end;          ///< what ends the thinking, such as "</think>"; not empty where rounds > 0
  std::string instead;      ///< what the judge is made to write in its place, such as "Wait"
};

/// How a generation goes back.
struct TakeBack {
  std::size_t kept = 0;              ///< tokens of the generation that stay
  std::vector<std::int32_t> forced;  ///< the ids that come next, whatever the judge would say
};

/// Where `ids`, whose last token has completed `forcing.end` in the text, go back to. A token that holds both text and
/// the beginning of `end` goes too; its text is among the forced. Nothing where the
/// tokens do not hold `end` (text of special tokens counts for nothing).
std::optional<TakeBack> take_back(const std::vector<std::int32_t>& ids, const text::Tokenizer& tokenizer,
                                  const BudgetForcing& forcing);

}  // namespace assize::engine
