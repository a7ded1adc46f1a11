#include "engine/stop_strings.h"
#include "support/catch.h"

using assize::engine::end_at_stop;

TEST_CASE("text ends behind the first stop string") {
  const auto none = std::string::npos;
  REQUIRE(end_at_stop("abc", 0, {}) == none);
  REQUIRE(end_at_stop("ab</answer>cd", 0, {"</answer>"}) == 11);
  // The occurrence began in text that was there before.
  REQUIRE(end_at_stop("ab</answer>cd", 10, {"</answer>"}) == 11);
  REQUIRE(end_at_stop("ab</answer>cd", 3, {"</answer>"}) == 11);
  // Of two, the one that ends first.
  REQUIRE(end_at_stop("xaby", 0, {"aby", "b"}) == 3);
  REQUIRE(end_at_stop("xaaa", 0, {"aa"}) == 3);
  REQUIRE(end_at_stop("ab", 1, {"abc", "c"}) == none);
  REQUIRE(end_at_stop("", 0, {"c"}) == none);
}
