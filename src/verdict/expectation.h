#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verdict/verdict.h"

namespace assize::verdict {

/// The expectation of each score that a text gives, candidate order, from the log-probabilities of the whole numbers
/// `labels` where each <answer> of the text has been opened (label after label, position after position): over those
/// within the scale of `profile`, divided by their sum. Empty where a number of the scale was not watched (it is not one
/// token of the judge) or where positions and answers do not correspond; the answers are the last ones of the text.
std::vector<double> expected_scores(std::string_view text, std::span<const float> logprobs, std::span<const std::string> labels,
                                    std::span<const std::uint16_t> presentation, const ParserProfile& profile);

}  // namespace assize::verdict
