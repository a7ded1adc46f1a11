#include "cluster/watchdog.h"
#include "support/catch.h"

using namespace assize::cluster;
using Catch::Matchers::Contains;

TEST_CASE("a phase overruns only behind its limit, and the longest phase so far raises it") {
  PhaseWatch watch(100, 8);
  CHECK(watch.overrun(1e9).empty());  // nothing has begun
  watch.begin("a step of the judge", 10);
  CHECK(watch.overrun(110).empty());
  CHECK(watch.overrun(110.5) == "a step of the judge for 100 s, limit 100 s");
  watch.begin("a step of the judge", 60);  // the first took 50 s
  CHECK(watch.limit_seconds() == 400);
  CHECK(watch.overrun(460).empty());
  CHECK_FALSE(watch.overrun(461).empty());
  watch.rest(70);
  CHECK(watch.overrun(1e9).empty());
  CHECK(watch.limit_seconds() == 400);
}

TEST_CASE("a clock that jumps back neither bites nor puts the limit off") {
  PhaseWatch watch(100, 8);
  watch.begin("a step of the judge", 5000);
  CHECK(watch.overrun(20).empty());
  CHECK(watch.overrun(110).empty());
  CHECK_FALSE(watch.overrun(121).empty());
}

TEST_CASE("the watchdog names rank, host and phase, and bites once") {
  double now = 0;
  std::vector<std::string> lines;
  WatchdogSettings settings;
  settings.who = "rank 3 (group 1) on host n07";
  settings.least_seconds = 30;
  settings.clock = [&] { return now; };
  settings.bite = [&](const std::string& line) { lines.push_back(line); };
  Watchdog watchdog(settings, 0);
  watchdog.begin("waiting for the next step of its leader");
  now = 29;
  watchdog.look();
  CHECK(lines.empty());
  now = 31;
  watchdog.look();
  watchdog.look();
  REQUIRE(lines.size() == 1);
  CHECK_THAT(lines[0], Contains("rank 3 (group 1) on host n07 hangs: waiting for the next step of its leader for 31 s, limit 30 s") &&
                           Contains("the same command goes on from here"));
}

TEST_CASE("a watchdog with nothing to do leaves at once") {
  WatchdogSettings settings;
  settings.bite = [](const std::string&) { FAIL("bit"); };
  Watchdog watchdog(settings, 3600);
  watchdog.begin("a step of the judge");
  watchdog.rest();
}
