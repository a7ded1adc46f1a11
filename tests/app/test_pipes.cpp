#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "app/fake_run.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace assize::app_tests;
namespace fs = std::filesystem;

namespace {

/// Runs the job with standard error going to `pipe` and nothing else; returns the exit code.
int run_into(const FakeRun& fake, int pipe) {
  const std::string binary = assize::support::binary_dir() + "/assize";
  const pid_t child = ::fork();
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDIN_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(pipe, STDERR_FILENO);
    ::execl(binary.c_str(), "assize", "run", fake.job.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("run: a full pipe that nobody reads does not stop it, and its lines are in its log file") {
  const FakeRun fake;
  REQUIRE(fake.run("--set judging.votes=1").code == 0);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  const std::string filling(4096, '.');
  while (::write(ends[1], filling.data(), filling.size()) > 0) {
  }
  ::fcntl(ends[1], F_SETFL, 0);
  CHECK(run_into(fake, ends[1]) == 0);
  CHECK(fs::exists(fs::path(fake.out) / "DONE"));
  CHECK_THAT(contents(fs::path(fake.out) / "log/rank-0000.log"), Catch::Matchers::Contains("60 of 120 calls are judged already"));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("run: a reader that leaves does not end it") {
  const FakeRun fake;
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  CHECK(run_into(fake, ends[1]) == 0);
  CHECK(fs::exists(fs::path(fake.out) / "DONE"));
  ::close(ends[1]);
}
