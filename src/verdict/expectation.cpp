#include "verdict/expectation.h"

#include <cmath>

#include "verdict/answers.h"

namespace assize::verdict {

std::vector<double> expected_scores(std::string_view text, std::span<const float> logprobs, std::span<const std::string> labels,
                                    std::span<const std::uint16_t> presentation, const ParserProfile& profile) {
  constexpr std::string_view kOpen = "<answer>";
  std::size_t opened = 0;
  for (auto at = text.find(kOpen); at != std::string_view::npos; at = text.find(kOpen, at + 1)) {
    opened += at + kOpen.size() < text.size();
  }
  const std::size_t wanted = presentation.size();
  if (labels.empty() || opened < wanted || logprobs.size() != opened * labels.size()) return {};
  std::vector<double> scores(wanted);
  for (std::size_t shown = 0; shown < wanted; ++shown) {
    const auto position = logprobs.subspan((opened - wanted + shown) * labels.size(), labels.size());
    double sum = 0, weighted = 0, whole = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto number = plain_number(labels[i]);
      if (!number || *number < profile.low || *number > profile.high) continue;
      if (std::isnan(position[i])) return {};
      ++whole;
      const double share = std::exp(static_cast<double>(position[i]));
      sum += share;
      weighted += share * *number;
    }
    if (!(sum > 0) || whole != std::floor(profile.high) - std::ceil(profile.low) + 1) return {};
    scores[presentation[shown]] = weighted / sum;
  }
  return scores;
}

}  // namespace assize::verdict
