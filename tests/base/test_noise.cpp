#include <set>

#include "base/ids.h"
#include "base/noise.h"
#include "support/catch.h"

using namespace assize::base;

TEST_CASE("noise: uniform, inside the open interval, and without visible correlation to its counters") {
  double sum = 0, sum_squares = 0, lag = 0;
  double last = 0.5;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    const double u = noise_uniform(42, static_cast<std::uint32_t>(i / 100), static_cast<std::uint32_t>(i % 100));
    REQUIRE(u > 0.0);
    REQUIRE(u < 1.0);
    sum += u;
    sum_squares += u * u;
    lag += (u - 0.5) * (last - 0.5);
    last = u;
  }
  CHECK(sum / n == Approx(0.5).margin(0.003));
  CHECK(sum_squares / n == Approx(1.0 / 3).margin(0.003));
  CHECK(lag / n == Approx(0.0).margin(0.001));
}

TEST_CASE("ids: each part of a call key changes its digest and its noise stream") {
  const CallKey key{"judge", "suite", "sample", "", {0, 1}, 0};
  std::vector<CallKey> others(7, key);
  others[0].judge_id = "judg";
  others[0].suite_id = "esuite";
  others[1].suite_id = "other";
  others[2].sample_id = "other";
  others[3].criterion = "style";
  others[4].presentation = {1, 0};
  others[5].presentation = {0};
  others[6].vote = 1;
  std::set<std::uint64_t> streams{noise_stream(7, digest(key)), noise_stream(8, digest(key))};
  for (const auto& other : others) streams.insert(noise_stream(7, digest(other)));
  CHECK(streams.size() == 9);
  CHECK(digest(key) == digest(CallKey{"judge", "suite", "sample", "", {0, 1}, 0}));
}
