#include <filesystem>

#include "app/program.h"
#include "results/results_reader.h"
#include "support/catch.h"
#include "support/temporary_folder.h"
#include "support/tiny_models.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;

namespace {

/// A pair suite with two samples; `judge` is the value of the job's key.
std::string write_job(const TemporaryFolder& folder, const std::string& judge) {
  folder.write("table.yaml", "default: {text: x}\n");
  folder.write("suite/prompt.yaml", "id: p\nsystem: be fair\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
  folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n");
  folder.write("suite/samples.jsonl", R"({"id": "a1", "question": "why\u001b[2J", "candidates": ["one", "two"]})" "\n"
                                      R"({"id": "a2", "question": "how", "candidates": ["three", "four"]})" "\n");
  return folder.write("job.yaml", "kind: evaluate\njudge: " + judge + "\nsuites: [suite]\nsampling: {max_new_tokens: 2}\noutput: " +
                                      folder.string() + "/out\n").string();
}

}  // namespace

TEST_CASE("prompt: both orders of a sample are shown, control characters made harmless") {
  TemporaryFolder folder;
  const std::string job = write_job(folder, "{fake: table.yaml}");
  const Outcome one = program("prompt " + job + " --sample a1");
  CHECK(one.code == 0);
  CHECK_THAT(one.text, Contains("--- candidates 0-1\n<|im_start|>system\nbe fair<|im_end|>") && Contains("why\\x1B[2J|one|two") &&
                           Contains("--- candidates 1-0\n") && Contains("why\\x1B[2J|two|one") &&
                           Contains("<|im_start|>assistant\n") && Contains("no tokens to count"));
  CHECK_THAT(program("prompt " + job).text, Contains("sample a1 of suite s"));
  const Outcome as_given = program("prompt " + job + " --sample a2 --set judging.orders=as_given");
  CHECK(as_given.text.find("1-0") == std::string::npos);
}

TEST_CASE("prompt: a sample or suite that is not there is an error with the nearest one") {
  TemporaryFolder folder;
  const std::string job = write_job(folder, "{fake: table.yaml}");
  const Outcome sample = program("prompt " + job + " --sample a3");
  CHECK(sample.code == 2);
  CHECK_THAT(sample.text, Contains("no suite of the job has a sample 'a3'; did you mean 'a"));
  CHECK_THAT(program("prompt " + job + " --suite t").text, Contains("the job has no suite 't'") && Contains("suites: s"));
}

TEST_CASE("prompt: the tokens shown are those that a run computes") {
  TemporaryFolder folder;
  const std::string judge = (folder.path() / "judge").string();
  assize::support::write_tiny_model(assize::support::TinyKind::qwen2, judge);
  const std::string job = write_job(folder, judge);
  const std::string text = program("prompt " + job + " --sample a2 --set judging.orders=as_given").text;
  REQUIRE(program("run " + job + " --set judging.orders=as_given").code == 0);
  const assize::results::ResultsReader results(folder.path() / "out/results.h5");
  const auto tokens = results.numbers("judgements", "prompt_tokens");
  REQUIRE(tokens.size() == 2);
  CHECK_THAT(text, Contains(": " + std::to_string(static_cast<int>(tokens[1])) + " tokens, "));
}
