#include "verdict/expectation.h"

#include <cmath>

#include "support/catch.h"

namespace assize::verdict {

TEST_CASE("the expectation of a score is that of the whole numbers of its scale") {
  const std::vector<std::string> labels{"1", "2", "3", "4", "5", "6"};
  ParserProfile profile;
  profile.low = 1;
  profile.high = 5;
  const float none = -1e30f, nan = std::nanf("");
  // Shares 0.5 of 4 and 0.25 of 2 within the scale; what 6 has lies outside of it and counts nothing.
  const std::vector<float> second{none, std::log(0.25f), none, std::log(0.5f), none, std::log(0.25f)};
  const std::vector<float> first{std::log(0.9f), none, none, none, std::log(0.1f), nan};
  std::vector<float> both = first;
  both.insert(both.end(), second.begin(), second.end());
  const std::string text = "<think>x</think><answer>1</answer><answer>4</answer>";
  const std::vector<std::uint16_t> swapped{1, 0};
  const auto scores = expected_scores(text, both, labels, swapped, profile);
  REQUIRE(scores.size() == 2);
  CHECK(scores[1] == Approx(1.4));
  CHECK(scores[0] == Approx((0.5 * 4 + 0.25 * 2) / 0.75));
  // An <answer> inside the thinking is a position too; the last ones are the answers.
  const std::vector<std::uint16_t> alone{0};
  CHECK(expected_scores("<think><answer>5</think><answer>4</answer>", both, labels, alone, profile)[0] == Approx(scores[0]));
  // A number of the scale that is not one token, positions that are missing, an answer that was only opened.
  profile.high = 6;
  CHECK(expected_scores(text, both, labels, swapped, profile).empty());
  CHECK(expected_scores(text, second, labels, swapped, profile).empty());
  CHECK(expected_scores("<answer>4</answer><answer>", second, labels, swapped, profile).empty());
  CHECK(expected_scores(text, {}, labels, swapped, profile).empty());
}

}  // namespace assize::verdict
