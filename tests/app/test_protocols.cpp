#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/program.h"
#include "results/results_reader.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

using namespace assize::app_tests;
using assize::results::ResultsReader;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A suite of 40 pairs judged by a table of answers.
struct Pairs {
  TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();
  std::string out = (folder.path() / "out").string();

  explicit Pairs(const std::string& judging, const std::string& table = "{text: \"<answer>{random:1:10}</answer><answer>{random:1:10}</answer>\"}",
                 const std::string& suite_extra = "") {
    folder.write("table.yaml", "default: " + table + "\n");
    folder.write("suite/prompt.yaml", "id: ours\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
    folder.write("suite/published.yaml", "id: published\nuser: \"PUBLISHED {question}|{candidate_1}|{candidate_2}\"\n");
    folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n" + suite_extra);
    std::string lines;
    for (int i = 0; i < 40; ++i) {
      lines += R"({"id": "a)" + std::to_string(i) + R"(", "question": "q)" + std::to_string(i) + R"(", "candidates": ["one", "two"], "human": "A"})" "\n";
    }
    folder.write("suite/samples.jsonl", lines);
    folder.write("job.yaml", "kind: evaluate\njudge: {fake: table.yaml, id: j}\nsuites: [suite]\noutput: " + out + "\njudging: " + judging + "\n");
  }
  Outcome run(const std::string& extra = "", const std::string& launcher = "") const { return program("run " + job + " " + extra, launcher); }
  std::string digest_of(const std::string& name, const std::string& extra, const std::string& launcher = "") const {
    const Outcome outcome = run(extra + " --set output=" + out + name, launcher);
    INFO(outcome.text);
    CHECK(outcome.code == 0);
    return digest(out + name);
  }
  ResultsReader results() const { return ResultsReader(fs::path(out) / "results.h5"); }
};

std::size_t times(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("protocols: a run refuses another profile, thinking, budget or drawn order, and names the difference") {
  const Pairs pairs("{votes: 1}", "{text: \"<answer>7</answer><answer>3</answer>\"}",
                    "profiles: {repo: {prompt: published.yaml}, paper: {on_unreadable: wrong}}\n");
  REQUIRE(pairs.run().code == 0);
  const auto refused = [&](const std::string& setting) {
    const Outcome outcome = pairs.run("--set " + setting);
    CHECK(outcome.code == 2);
    return outcome.text;
  };
  CHECK_THAT(refused("profile=paper"), Contains("profile was absent, is paper"));
  CHECK_THAT(refused("profile=repo"), Contains("profile was absent, is repo"));
  CHECK_THAT(refused("judging.thinking=off"), Contains("thinking was absent, is off"));
  CHECK_THAT(refused("judging.budget_forcing=2"), Contains("budget forcing was absent, is 2 x Wait"));
  CHECK_THAT(refused("judging.orders=random"), Contains("orders was absent, is random, counter-based"));
  // What only reads the texts is free.
  CHECK(pairs.run("--set judging.combine=mean").code == 0);
  CHECK(pairs.run("--set judging.vote_ties=first_seen --set judging.parser=paper").code == 0);
  CHECK(pairs.run("--set judging.adaptive=on").code == 0);
}

TEST_CASE("protocols: a profile chooses prompt, parser and failure values together; explicit keys override") {
  const Pairs pairs("{votes: 1, orders: as_given}", "{text: \"<answer>7</answer> or more\"}",
                    "profiles: {repo: {prompt: published.yaml, on_unreadable: tie}, paper: {on_unreadable: wrong}}\n");
  const auto prompt = [&](const std::string& extra) { return program("prompt " + pairs.job + " " + extra).text; };
  CHECK_THAT(prompt(""), Contains("\nq0|one|two") && Contains("<|im_start|>assistant\n\n"));
  CHECK_THAT(prompt("--set profile=repo"), Contains("PUBLISHED q0|one|two") && Contains("prompt published"));
  CHECK_THAT(prompt("--set profile=paper"), Contains("\nq0|one|two") && Contains("<|im_start|>assistant\n<think>\n"));
  CHECK_THAT(prompt("--set profile=paper --set judging.thinking=as_prompt"), Contains("<|im_start|>assistant\n\n"));

  // One answer instead of two is no verdict anywhere; each profile says what stands in for it.
  const auto choices = [&](const std::string& name, const std::string& extra) {
    REQUIRE(pairs.run(extra + " --set output=" + pairs.out + name).code == 0);
    return ResultsReader(fs::path(pairs.out + name) / "results.h5").texts("samples", "choice").front();
  };
  CHECK(choices("-strict", "") == "");
  CHECK(choices("-repo", "--set profile=repo") == "tie");
  CHECK(choices("-paper", "--set profile=paper") == "wrong");
  CHECK(choices("-other", "--set profile=repo --set judging.on_unreadable=exclude") == "");
  std::ifstream report(pairs.out + "-other/report.md");
  const std::string text{std::istreambuf_iterator<char>(report), {}};
  CHECK_THAT(text, Contains("repo"));
}

TEST_CASE("protocols: profile repo says which prompts are missing and how to get them") {
  const Pairs without("{votes: 1}");
  CHECK_THAT(without.run("--set profile=repo").text, Contains("has no 'profiles.repo'"));
  const Pairs missing("{votes: 1}", "{text: x}", "profiles: {repo: {prompt: not-imported.yaml}}\n");
  const Outcome outcome = missing.run("--set profile=repo");
  CHECK(outcome.code == 2);
  CHECK_THAT(outcome.text, Contains("not-imported.yaml") && Contains("tools/import-prompts"));
  CHECK(missing.run().code == 0);
  const Pairs broken("{votes: 1}", "{text: x}", "profiles: {repo: {image_size: big, on_unreadable: sometimes, votes: some}, reppo: {}}\n");
  CHECK_THAT(broken.run().text, Contains("'profiles.repo.image_size' is 'big'") && Contains("'profiles.repo.on_unreadable' is 'sometimes'") &&
                                    Contains("'profiles.repo.votes' is 'some'") && Contains("did you mean 'profiles.repo'"));
}

TEST_CASE("protocols: reasoning off prefills the answer, and every parser reads it") {
  for (const std::string parser : {"strict", "paper", "repo"}) {
    const Pairs pairs("{votes: 1, orders: as_given, thinking: off, parser: " + parser + "}", "{text: \"8</answer><answer>3</answer>\"}");
    REQUIRE(pairs.run().code == 0);
    CHECK(pairs.results().texts("samples", "choice").front() == "A");
    CHECK_THAT(program("prompt " + pairs.job).text, Contains("<|im_start|>assistant\n<answer>\n"));
  }
  const Pairs both("{votes: 1, thinking: off, budget_forcing: 1}");
  CHECK_THAT(both.run().text, Contains("'judging.budget_forcing' prolongs the thinking"));
}

TEST_CASE("protocols: random orders are drawn once and recorded, whatever the machine") {
  const Pairs pairs("{votes: 3, orders: random, seed: 5}");
  REQUIRE(pairs.run().code == 0);
  const auto orders = pairs.results().texts("judgements", "presentation");
  REQUIRE(orders.size() == 120);
  const auto swapped = std::count(orders.begin(), orders.end(), "1-0");
  CHECK(swapped > 30);
  CHECK(swapped < 90);
  CHECK(pairs.digest_of("-mpi", "", mpirun(3)) == digest(pairs.out));
  // Fewer votes have the same orders.
  REQUIRE(pairs.run("--set judging.votes=1 --set output=" + pairs.out + "-one").code == 0);
  const auto first = ResultsReader(fs::path(pairs.out + "-one") / "results.h5").texts("judgements", "presentation");
  for (std::size_t i = 0; i < first.size(); ++i) CHECK(first[i] == orders[3 * i]);
}

TEST_CASE("protocols: profile repo draws the orders of the published script") {
  const Pairs pairs("{votes: 2, orders: random, seed: 0}", "{text: \"<answer>7</answer><answer>3</answer>\"}",
                    "profiles: {repo: {prompt: published.yaml}}\n");
  REQUIRE(pairs.run("--set profile=repo").code == 0);
  const ResultsReader results = pairs.results();
  const auto ids = results.texts("samples", "id"), orders = results.texts("judgements", "presentation");
  const auto votes = results.numbers("judgements", "vote"), rows = results.numbers("judgements", "sample");
  // numpy.random.uniform() < 0.5 after numpy.random.seed(vote), row by row of the file (tests/golden/numpy_uniform.json).
  std::ifstream file(assize::support::source_dir() + "/tests/golden/numpy_uniform.json");
  const auto golden = nlohmann::json::parse(file);
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const auto& draw = golden["draws"][static_cast<std::size_t>(votes[i])];
    REQUIRE(draw["seed"] == votes[i]);
    const auto row = std::stoul(ids[static_cast<std::size_t>(rows[i])].substr(1));
    CHECK(orders[i] == (draw["first_as_given"].get<std::string>()[row] == '1' ? "0-1" : "1-0"));
  }
  CHECK_THAT(program("show " + pairs.out).text, Contains("complete"));
}

TEST_CASE("protocols: adaptive voting says what it spared, agrees with all votes, and timing changes nothing") {
  const Pairs pairs("{votes: 7, orders: as_given, seed: 2, adaptive: on}",
                    "{text: \"<answer>{random:1:10}</answer><answer>{random:3:10}</answer>\"}");
  const Outcome outcome = pairs.run();
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("adaptive voting spared ") && Contains(" of 280 calls"));
  CHECK(pairs.results().complete());
  const auto calls = pairs.results().rows("judgements");
  CHECK(calls < 260);
  CHECK(calls >= 160);
  CHECK(pairs.digest_of("-mpi", "", mpirun(4)) == digest(pairs.out));

  const std::string all = pairs.out + "-all";
  REQUIRE(pairs.run("--set judging.adaptive=off --set output=" + all).code == 0);
  const ResultsReader whole(fs::path(all) / "results.h5");
  CHECK(whole.texts("samples", "choice") == pairs.results().texts("samples", "choice"));
  // The votes that are there already are discarded behind the deciding ones.
  REQUIRE(pairs.run("--set output=" + all).code == 0);
  CHECK(digest(all) == digest(pairs.out));
  // Cut off after some samples, and gone on with.
  const std::string parts = pairs.out + "-parts";
  REQUIRE(pairs.run("--set limits.samples=13 --set output=" + parts).code == 0);
  REQUIRE(pairs.run("--set output=" + parts).code == 0);
  CHECK(digest(parts) == digest(pairs.out));
  CHECK_THAT(pairs.run("--set judging.combine=mean --set output=" + parts).text, Contains("needs votes on a choice"));
}

TEST_CASE("protocols: votes are combined as the job says") {
  // Two votes that disagree: equal votes are a tie, unless the one seen first counts.
  Pairs pairs("{votes: 2, orders: as_given}");
  pairs.folder.write("table.yaml", "default: {text: \"<answer>9</answer><answer>1</answer>\"}\n"
                                   "rows:\n  - {vote: 1, text: \"<answer>4</answer><answer>5</answer>\"}\n");
  const auto choice = [&](const std::string& extra) {
    REQUIRE(pairs.run(extra).code == 0);
    return pairs.results().texts("samples", "choice").front();
  };
  CHECK(choice("") == "tie");
  CHECK(choice("--set judging.vote_ties=first_seen") == "A");
  CHECK(choice("--set judging.combine=mean") == "A");
  CHECK(choice("--set judging.combine=sign") == "tie");
}

TEST_CASE("protocols: budget forcing makes the judge think on, the same on any machine and after any restart") {
  const fs::path source = assize::support::source_dir(), judge = source / "configs/judges/shapes-judge";
  if (!fs::exists(judge / "model.safetensors")) {
    WARN("skipped: configs/judges/shapes-judge holds no weights");
    return;
  }
  TemporaryFolder folder;
  std::ifstream in(source / "configs/suites/shapes-pair/samples.jsonl");
  std::string lines;
  int count = 6;
  for (std::string line; count-- > 0 && std::getline(in, line);) lines += line + "\n";
  folder.write("suite/samples.jsonl", lines);
  folder.write("suite/suite.yaml", "id: shapes-pair\nprotocol: pair\nprompt: configs/prompts/shapes-pair.yaml\nlinks: anywhere\n");
  fs::create_directory_symlink(source / "configs/suites/shapes-pair/media", folder.path() / "suite/media");
  const std::string job = folder.write("job.yaml", "kind: evaluate\njudge: " + judge.string() + "\nsuites: [suite]\noutput: out\n"
                                                   "judging: {votes: 2, orders: as_given, seed: 4, budget_forcing: 2, budget_word: \" Wait\"}\n"
                                                   "sampling: {temperature: 0.7, max_new_tokens: 200}\nparallel: {threads: 1}\n").string();
  const auto run = [&](const std::string& name, const std::string& settings, const std::string& launcher = "") {
    const std::string out = folder.string() + "/" + name;
    const Outcome outcome = program("run " + job + " --set output=" + out + " " + settings, launcher);
    INFO(outcome.text);
    CHECK(outcome.code == 0);
    return digest(out);
  };
  const std::string expected = run("alone", "");
  const ResultsReader results(folder.path() / "alone/results.h5");
  std::size_t forced = 0;
  for (const std::string& text : results.texts("judgements", "text")) {
    const std::size_t waits = times(text, " Wait");
    CHECK(waits <= 2);
    CHECK(times(text, "</think>") <= 1);
    if (const auto end = text.find("</think>"); end != std::string::npos) {
      CHECK(times(text.substr(0, end), " Wait") == 2);
      forced += waits;
    }
  }
  CHECK(forced >= 12);
  CHECK(run("small", "--set engine.slots=3 --set engine.step_rows=24") == expected);
  CHECK(run("groups", "", mpirun(3)) == expected);
  CHECK(run("parts", "--set limits.samples=2 --set judging.votes=1").size() == 32);
  CHECK(run("parts", "") == expected);
}

TEST_CASE("protocols: the expectation of a score stands beside it, the same on any machine") {
  const fs::path source = assize::support::source_dir(), judge = source / "configs/judges/shapes-judge";
  if (!fs::exists(judge / "model.safetensors")) {
    WARN("skipped: configs/judges/shapes-judge holds no weights");
    return;
  }
  TemporaryFolder folder;
  const std::string job = folder.write("job.yaml", "kind: evaluate\njudge: " + judge.string() + "\nsuites: [configs/suites/shapes-score]\noutput: out\n"
                                                   "judging: {votes: 1, expectation: on}\nsampling: {temperature: 0, max_new_tokens: 200}\n"
                                                   "limits: {samples: 8}\nparallel: {threads: 1}\n").string();
  const auto run = [&](const std::string& name, const std::string& settings) {
    const Outcome outcome = program("run " + job + " --set output=" + folder.string() + "/" + name + " " + settings);
    INFO(outcome.text);
    CHECK(outcome.code == 0);
    return digest(folder.string() + "/" + name);
  };
  const std::string expected = run("alone", "");
  CHECK(run("small", "--set engine.slots=2 --set engine.step_rows=16") == expected);
  const ResultsReader results(folder.path() / "alone/results.h5");
  const auto expectations = results.lists("judgements", "expected_scores"), scores = results.lists("judgements", "verdict_scores");
  int readable = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    CHECK(expectations[i].size() == scores[i].size());
    if (scores[i].empty()) continue;
    ++readable;
    CHECK(expectations[i][0] >= 1);
    CHECK(expectations[i][0] <= 5);
    CHECK(expectations[i][0] != scores[i][0]);  // other answers have some probability
  }
  CHECK(readable >= 4);
  const Outcome refused = program("run " + job + " --set output=" + folder.string() + "/alone --set judging.expectation=off");
  CHECK(refused.code == 2);
  CHECK_THAT(refused.text, Contains("expectation was whole numbers after <answer>, is absent"));
}
