#include <cerrno>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "results/run_lock.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize;
using Catch::Matchers::Contains;
using results::RunLock;
using results::RunLockOptions;
using support::TemporaryFolder;

namespace {

/// A file system whose flock is always granted (it stays within each node) or is not there at all, and time that
/// only passes in `pause`.
struct Imagined {
  TemporaryFolder run;
  double seconds = 0;
  std::function<void()> meanwhile = [] {};

  RunLockOptions options(const std::string& host, int flock_error = 0) {
    RunLockOptions options;
    options.beat_seconds = 0;
    options.host = host;
    options.lock = [flock_error](int) { return flock_error ? (errno = flock_error, -1) : 0; };
    options.pause = [this](double wait) {
      seconds += wait;
      meanwhile();
    };
    return options;
  }
  std::string text() const { return base::read_file(run.path() / "lock"); }
};

}  // namespace

TEST_CASE("an owner on another node that goes on beating keeps a second one out, though flock lets it in") {
  Imagined fs;
  RunLock owner(fs.run.path(), fs.options("n1"));
  CHECK(fs.seconds == 0);
  fs.meanwhile = [&] {
    if (fs.seconds > 4) owner.beat();
  };
  CHECK_THROWS_WITH(RunLock(fs.run.path(), fs.options("n2")), Contains("another process works on this run (host n1, process "));
  CHECK(fs.seconds < 5);
  CHECK_FALSE(owner.stolen());
}

TEST_CASE("an owner that is dead on another node is waited for, then the run goes on") {
  Imagined fs;
  fs.run.write("lock", "host n1, process 7, since 2026-01-01T00:00:00Z, 99\nbeat 12\n");
  RunLock owner(fs.run.path(), fs.options("n2"));
  CHECK(fs.seconds >= 15);
  CHECK(fs.seconds < 16);
  CHECK_THAT(fs.text(), Contains("host n2"));
}

TEST_CASE("a crash on this node costs no wait where flock works, and a clean end costs none anywhere") {
  Imagined fs;
  fs.run.write("lock", "host n1, process 7, since 2026-01-01T00:00:00Z, 99\nbeat 12\n");
  { RunLock owner(fs.run.path(), fs.options("n1")); }
  CHECK(fs.seconds == 0);
  CHECK(fs.text().empty());
  RunLock next(fs.run.path(), fs.options("n2"));
  CHECK(fs.seconds == 0);
}

TEST_CASE("where there is no flock the beats alone decide, also on one node") {
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP}) {
    Imagined fs;
    RunLock owner(fs.run.path(), fs.options("n1", error));
    fs.meanwhile = [&] { owner.beat(); };
    CHECK_THROWS_WITH(RunLock(fs.run.path(), fs.options("n1", error)), Contains("another process works on this run"));
  }
}

TEST_CASE("of two that start at once without flock the one that wrote first gives way") {
  Imagined fs;
  bool other = false;
  fs.meanwhile = [&] {
    if (!other) fs.run.write("lock", "host n9, process 1, since 2026-01-01T00:00:00Z, 5\nbeat 0\n");
    other = true;
  };
  CHECK_THROWS_WITH(RunLock(fs.run.path(), fs.options("n1", ENOLCK)), Contains("host n9, process 1"));
  CHECK_THAT(fs.text(), Contains("host n9"));
}

TEST_CASE("an owner that was taken for dead notices it and leaves the file to the new one") {
  Imagined fs;
  {
    RunLock stopped(fs.run.path(), fs.options("n1"));  // by SIGSTOP, say
    RunLock next(fs.run.path(), fs.options("n2"));
    CHECK_FALSE(next.stolen());
    stopped.beat();
    CHECK(stopped.stolen());
    CHECK_THAT(fs.text(), Contains("host n2"));
  }
}

TEST_CASE("a lock that stays taken is waited for as long as a file server may need, then refused by its owner's name") {
  Imagined fs;
  fs.run.write("lock", "host n1, process 7, since 2026-01-01T00:00:00Z, 99\nbeat 12\n");
  CHECK_THROWS_WITH(RunLock(fs.run.path(), fs.options("n2", EWOULDBLOCK)), Contains("(host n1, process 7, since 2026-01-01T00:00:00Z)"));
  CHECK(fs.seconds >= 15);
}
