#include <cmath>

#include "backend/rope_table.h"
#include "support/catch.h"
#include "support/values.h"

using namespace assize;
using namespace assize::backend;

TEST_CASE("sin_cos: correctly rounded, but for ties of the double's last bits") {
  test::Values values(1);
  int differing = 0;
  for (int i = 0; i < 200000; ++i) {
    const float angle = values.uniform() * (i % 2 ? 130000.0f : 10.0f);
    float sine, cosine;
    sin_cos(angle, sine, cosine);
    const double s = std::sin(static_cast<double>(angle)), c = std::cos(static_cast<double>(angle));
    REQUIRE(std::abs(sine - s) <= 0.5001 * std::ldexp(1.0, std::max(-149, std::ilogb(s) - 23)));
    REQUIRE(std::abs(cosine - c) <= 0.5001 * std::ldexp(1.0, std::max(-149, std::ilogb(c) - 23)));
    differing += sine != static_cast<float>(s);
  }
  CHECK(differing <= 2);
}

TEST_CASE("rope table: three-row positions, component of each frequency, kept while they stay the same") {
  ThreadPool pool(1);
  RopeTable table;
  const Rope rope{{1.0f, 0.1f, 0.01f}, {0, 1, 2}, 2.0f};
  const std::vector<std::int32_t> positions{5, 6, 7, 8, 9, 10};  // two rows: t 5 6, h 7 8, w 9 10
  table.set_positions(rope, positions, 2, pool);
  const float* kept = table.cosines();
  CHECK(table.cosines()[0] == 2.0f * static_cast<float>(std::cos(5.0)));
  CHECK(table.cosines()[3 + 1] == Approx(2.0 * std::cos(8.0 * 0.1)).epsilon(1e-7));
  CHECK(table.sines()[3 + 2] == Approx(2.0 * std::sin(10.0 * 0.01)).epsilon(1e-7));
  table.set_positions(rope, positions, 2, pool);
  CHECK(table.cosines() == kept);
  const std::vector<std::int32_t> next{6, 6, 7, 8, 9, 10};
  table.set_positions(rope, next, 2, pool);
  CHECK(table.cosines()[0] == 2.0f * static_cast<float>(std::cos(6.0)));
}
