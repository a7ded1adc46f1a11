#include "job/job_spec.h"

#include <string>

#include "base/error.h"
#include "base/noise.h"
#include "job/reader.h"
#include "job/tree.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using assize::base::Error;
using assize::support::TemporaryFolder;
using namespace assize::job;
using Catch::Matchers::Contains;

namespace {

/// A folder with a job, a judge and a suite that all exist.
struct Setting {
  TemporaryFolder folder;
  std::filesystem::path file;

  explicit Setting(const std::string& extra = "") {
    folder.write("judge.yaml", "id: table\nfake: answers.yaml\n");
    folder.write("answers.yaml", "default: hello\n");
    folder.write("suite/suite.yaml", "id: s\n");
    file = folder.write("job.yaml", "kind: evaluate\njudge: judge.yaml\nsuites: [suite]\noutput: runs/x\n" + extra);
  }
  std::string error(const std::vector<std::string>& settings = {}) const {
    try {
      load_job(file, settings);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
};

}  // namespace

TEST_CASE("job: a small job gets its defaults and absolute paths") {
  const Setting setting;
  const JobSpec job = load_job(setting.file, {});
  CHECK(job.judge.id == "table");
  CHECK(job.judge.fake == setting.folder.path() / "answers.yaml");
  CHECK(job.suites == std::vector<std::filesystem::path>{setting.folder.path() / "suite/suite.yaml"});
  CHECK(job.judging.votes == 1);
  CHECK(job.judging.orders == Orders::both);
  CHECK(job.limits.samples == 0);
}

TEST_CASE("job: settings override the file, also inside the judge's own file") {
  const Setting setting("judging: {votes: 3}\n");
  const JobSpec job = load_job(setting.file, {"judging.votes=5", "judge.id=other", "sampling.temperature=0.25",
                                              "limits.samples=12", "engine.fork=off"});
  CHECK(job.judging.votes == 5);
  CHECK(job.judge.id == "other");
  CHECK(job.sampling.temperature == 0.25);
  CHECK(job.limits.samples == 12);
  CHECK_FALSE(job.engine.fork);
}

TEST_CASE("job: the resolved text is a job again and says the same") {
  const Setting setting("sampling: {temperature: 0.5}\njudging: {votes: 2, seed: 9}\n");
  const JobSpec job = load_job(setting.file, {});
  const auto again = setting.folder.write("resolved.yaml", job.resolved_yaml);
  const JobSpec second = load_job(again, {});
  CHECK(second.resolved_yaml == job.resolved_yaml);
  CHECK(second.judging.seed == 9);
}

TEST_CASE("job: every problem is reported at once, with place and nearest key") {
  const Setting setting("judgin: {votes: 3}\nsampling: {temperature: hot, top_q: 1}\nlimits: {failure_rate: 2}\n");
  const std::string error = setting.error();
  CHECK_THAT(error, Contains("job.yaml:5:1: unknown key 'judgin'; did you mean 'judging'?"));
  CHECK_THAT(error, Contains("job.yaml:6:25: 'sampling.temperature' is 'hot'"));
  CHECK_THAT(error, Contains("unknown key 'sampling.top_q'; did you mean 'sampling.top_p'?"));
  CHECK_THAT(error, Contains("'limits.failure_rate' is '2', it must be a number from 0 to 1"));
}

TEST_CASE("job: missing parts are named") {
  TemporaryFolder folder;
  const auto file = folder.write("job.yaml", "judging: {votes: 3}\n");
  CHECK_THROWS_WITH(load_job(file, {}), Contains("'kind' is missing") && Contains("'judge' needs either 'path'") &&
                                            Contains("'suites' is missing") && Contains("'output' is missing"));
  const auto absent = folder.write("other.yaml", "kind: evaluate\njudge: no.yaml\nsuites: [x]\noutput: o\n");
  CHECK_THROWS_WITH(load_job(absent, {}), Contains("other.yaml:2:8: judge 'no.yaml' does not exist"));
  CHECK_THROWS_WITH(load_job(folder.path() / "nothing.yaml", {}), Contains("nothing.yaml: cannot be read"));
}

TEST_CASE("job: rules across fields") {
  CHECK_THAT(Setting("judging: {votes: 3}\nsampling: {temperature: 0}\n").error(),
             Contains("'sampling.temperature' is 0 with several votes"));
  CHECK_THAT(Setting("judging: {votes: 3, reading: likelihood}\n").error(),
             Contains("'judging.votes' must be 1 with 'reading: likelihood'"));
}

TEST_CASE("job: bad settings are refused") {
  const Setting setting;
  CHECK_THAT(setting.error({"judging.votes"}), Contains("write it as key=value"));
  CHECK_THAT(setting.error({"judging.vote=3"}), Contains("--set judging.vote: unknown key 'judging.vote'; did you mean 'judging.votes'?"));
  CHECK_THAT(setting.error({"kind.deep=3"}), Contains("has no place there"));
}

TEST_CASE("yaml: broken documents are errors with a place") {
  CHECK_THROWS_WITH(parse_yaml("a: [1, 2\nb: 3\n", "x.yaml"), Contains("x.yaml:"));
  CHECK_THROWS_WITH(parse_yaml("a: 1\na: 2\n", "x.yaml"), Contains("x.yaml:2:1: 'a' stands here twice"));
  CHECK_THROWS_WITH(parse_yaml("a: 1\nb: \xff\xfe", "x.yaml"), Contains("x.yaml:2: is not UTF-8 text"));
  CHECK_THROWS_WITH(parse_yaml("a: \xc0\xaf", "x.yaml"), Contains("not UTF-8"));
  CHECK(parse_yaml("a: \xc3\xa4\xf0\x9f\x98\x80", "x.yaml").find("a")->scalar == "\xc3\xa4\xf0\x9f\x98\x80");
  CHECK(parse_yaml("a: &x [1]\nb: *x\n", "x.yaml").find("b")->items.size() == 1);
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string name = "a" + std::to_string(i), last = "*a" + std::to_string(i - 1);
    bomb += name + ": &" + name + " [";
    for (int j = 0; j < 8; ++j) bomb += (j ? ", " : "") + last;
    bomb += "]\n";
  }
  CHECK_THROWS_WITH(parse_yaml(bomb, "x.yaml"), Contains("more than 1048576 values"));
  CHECK_THROWS_WITH(parse_yaml(std::string(200, '['), "x.yaml"), Contains("x.yaml"));
  CHECK(parse_yaml("a: 2*3\nb: \"*x\"\n", "x.yaml").entries.size() == 2);
}

TEST_CASE("yaml: random bytes give a tree or an Error, never anything else") {
  const std::string alphabet = "ab:-[]{},\n #'\"&*|>%!\t1\\";
  for (std::uint32_t round = 0; round < 3000; ++round) {
    std::string text;
    const auto length = assize::base::noise_bits(1, round, 0) % 40;
    for (std::uint32_t i = 0; i < length; ++i) {
      text += alphabet[assize::base::noise_bits(2, round, i) % alphabet.size()];
    }
    try {
      const Tree tree = parse_yaml(text, "x.yaml");
      CHECK(to_yaml(parse_yaml(to_yaml(tree), "y.yaml")) == to_yaml(tree));
    } catch (const Error&) {
    }
  }
}

TEST_CASE("nearest: close words are found, far ones are not") {
  CHECK(nearest("vote", {"votes", "orders"}) == "votes");
  CHECK(nearest("temprature", {"top_p", "temperature"}) == "temperature");
  CHECK(nearest("xyzzy", {"votes", "orders"}).empty());
}
