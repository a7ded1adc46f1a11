#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/program.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;

namespace {

/// 60 pairs of two groups: people say A but for every sixth, the judge is right but for every fourth.
std::string pairs() {
  std::string csv = "id,topic,people,judge\n";
  for (int i = 0; i < 60; ++i) {
    const std::string human = i % 6 ? "A" : "B", other = i % 6 ? "B" : "A";
    csv += "q" + std::to_string(i) + "," + (i % 2 ? "odd" : "even") + "," + human + "," + (i % 4 ? human : other) + "\n";
  }
  return csv;
}

std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// A run of 40 pairs by a table of answers.
std::string run(const TemporaryFolder& folder, const std::string& name, const std::string& answers, const std::string& human = "A") {
  folder.write("suite/prompt.yaml", "id: p\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
  folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n");
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    lines += R"({"id": "a)" + std::to_string(i) + R"(", "question": "q", "candidates": ["one", "two"], "group": ")" + (i % 2 ? "x" : "y") +
             R"(", "human": ")" + human + "\"}\n";
  }
  folder.write("suite/samples.jsonl", lines);
  folder.write(name + ".yaml", "default: {text: \"" + answers + "\"}\n");
  const std::string out = (folder.path() / name).string();
  folder.write(name + "-job.yaml", "kind: evaluate\njudge: {fake: " + name + ".yaml, id: " + name + "}\nsuites: [suite]\noutput: " + out +
                                       "\njudging: {votes: 1, seed: 3, orders: as_given}\n");
  REQUIRE(program("run " + (folder.path() / (name + "-job.yaml")).string()).code == 0);
  return out;
}

constexpr const char* kGood = "<think>one is better</think><answer>9</answer><answer>{random:1:9}</answer>";
constexpr const char* kPoor = "<answer>{random:1:10}</answer><answer>{random:1:10}</answer>";

}  // namespace

TEST_CASE("agree: figures of a table as text, JSON and report") {
  const TemporaryFolder folder;
  const std::string table = folder.write("votes.csv", pairs()).string();
  const std::string command = "agree " + table + " --protocol pair --human people --verdict judge --group topic";
  const Outcome text = program(command);
  CHECK(text.code == 0);
  CHECK_THAT(text.text, Contains("60 items, 60 with a human label") && Contains("accuracy") && Contains("0.7500") && Contains("group odd"));
  const auto json = nlohmann::json::parse(program(command + " --json --report " + (folder.path() / "out").string()).text);
  CHECK(json.at("suites")[0].at("metrics")[0].at("value") == 0.75);
  CHECK(json.at("suites")[0].at("samples") == 60);
  CHECK_THAT(contents(folder.path() / "out/report.html"), Contains("votes.csv") && Contains("q12"));
  CHECK_THAT(contents(folder.path() / "out/metrics.csv"), Contains("votes,odd,accuracy,"));

  const std::string lines = folder.write("votes.jsonl", "{\"people\": 3, \"said\": {\"score\": 2.5}}\n{\"people\": 4, \"said\": {\"score\": 4}}\n").string();
  CHECK_THAT(program("agree " + lines + " --protocol score --human people --verdict said.score").text, Contains("Pearson"));
}

TEST_CASE("agree: wrong input is named") {
  const TemporaryFolder folder;
  const std::string table = folder.write("votes.csv", pairs()).string();
  const auto refused = [&](const std::string& options, const std::string& what) {
    const Outcome outcome = program("agree " + table + " " + options);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.text, Contains(what));
  };
  refused("", "--protocol");
  refused("--protocol pears --human people --verdict judge", "pears");
  refused("--protocol pair --verdict judge", "--human");
  refused("--protocol pair --human people", "--verdict");
  refused("--protocol pair --human people --verdict jugde", "did you mean 'judge'?");
  refused("--protocol score --human people --verdict judge", "votes.csv:2: column 'people': item 'q0': 'B' is not a finite number");
  refused("--protocol pair --human people --verdict judge --on-unreadable constant", "exclude, wrong or tie");
  CHECK_THAT(program("agree none.csv --protocol pair --human a --verdict b").text, Contains("none.csv"));
}

TEST_CASE("compare: runs and tables, item by item") {
  const TemporaryFolder folder;
  const std::string good = run(folder, "good", kGood), poor = run(folder, "poor", kPoor);
  const Outcome text = program("compare " + poor + " " + good);
  CHECK(text.code == 0);
  CHECK_THAT(text.text, Contains("s: protocol pair, 40 items in all sources") && Contains("McNemar") && Contains("adjusted") &&
                            Contains("one is better") && Contains("prompt p, parser strict"));
  const auto json = nlohmann::json::parse(program("compare " + poor + " " + good + " --json").text);
  const auto& comparison = json.at("suites")[0].at("comparisons")[0];
  CHECK(comparison.at("with_people")[0].at("difference").at("value") > 0.2);
  CHECK(comparison.at("with_people")[0].at("p") < 0.05);
  CHECK(comparison.at("items").size() == 10);

  // The panel's table is a judge again.
  const std::string panel = (folder.path() / "panel.csv").string();
  CHECK_THAT(program("compare " + poor + " " + good + " --combine mean --panel " + panel).text, Contains("panel (mean of 2)"));
  const Outcome again = program("compare " + panel + " " + good + " --protocol pair --human human --verdict verdict");
  CHECK(again.code == 0);
  CHECK_THAT(again.text, Contains("40 items in all sources"));
  const Outcome judges = program("compare " + panel + " " + panel + " --protocol pair --verdict verdict");
  CHECK_THAT(judges.text, Contains("no human labels") && Contains("same verdict 1.000"));
  const Outcome apart = program("compare " + panel + " " + folder.write("other.csv", "id,verdict\na0,tie\na1,tie\n").string() +
                                " --protocol pair --verdict verdict");
  CHECK_THAT(apart.text, Contains("- a1: [1] A, [2] tie") && !Contains("people"));
}

TEST_CASE("compare: wrong input is named") {
  const TemporaryFolder folder;
  const std::string good = run(folder, "good", kGood);
  const std::string table = folder.write("t.csv", "id,human,verdict\na0,B,A\n").string();
  const std::string columns = " --protocol pair --human human --verdict verdict";
  const auto refused = [&](const std::string& arguments, const std::string& what) {
    const Outcome outcome = program("compare " + arguments);
    CHECK(outcome.code == 2);
    CHECK_THAT(outcome.text, Contains(what));
  };
  refused("", "assize compare");
  refused(good, "at least two");
  refused(good + " " + table, "--protocol");
  refused(good + " " + table + columns, "item 'a0': people's label is 'A' in one source and 'B' in another");
  refused(good + " " + folder.write("u.csv", "id,human,verdict\nz,B,A\n").string() + columns, "no item has the id");
  refused(good + " " + folder.write("v.csv", "id,human,verdict\na0,3,4\n").string() + " --protocol score --human human --verdict verdict", "protocol score");
  refused(good + " " + good + " --panel p.csv", "--panel needs --combine");
  refused(good + " nowhere.csv" + columns, "nowhere.csv");
}

TEST_CASE("compare: expected figures accept or reject a run") {
  const TemporaryFolder folder;
  const std::string good = run(folder, "good", kGood);
  const auto json = nlohmann::json::parse(contents(folder.path() / "good/metrics.json"));
  const std::string accuracy = json.at("suites")[0].at("metrics")[0].at("value").dump();
  const auto expect = [&](const std::string& yaml) {
    return program("compare " + good + " --expect " + folder.write("expected.yaml", yaml).string());
  };
  const Outcome accepted = expect("source: ours\nband: 0.001\nfigures:\n  - {suite: s, metric: accuracy, value: " + accuracy +
                                  "}\n  - {suite: s, group: x, metric: accuracy, value: 0.5, standard_errors: 99}\n" +
                                  "  - {suite: s, metric: accuracy, value: 0.1, decides: false}\n  - {suite: t, metric: accuracy, value: 0.1}\n");
  CHECK(accepted.code == 0);
  CHECK_THAT(accepted.text, Contains("accepted: all 2 deciding figures") && Contains("does not decide") && Contains("not in this run"));
  const Outcome rejected = expect("band: 0.001\nfigures:\n  - {suite: s, metric: accuracy, value: 0.1}\n");
  CHECK(rejected.code == 4);
  CHECK_THAT(rejected.text, Contains("REJECTED: outside the band") && Contains("rejected: 1 of 1"));
  CHECK_THAT(expect("band: 0.1\nfigures:\n  - {suite: s, metric: acuracy, value: 0.1}\n").text, Contains("did you mean 'accuracy'?"));
  CHECK_THAT(expect("figures:\n  - {suite: s, metric: accuracy, value: 0.1}\n").text, Contains("expected.yaml:2") && Contains("'band' or 'standard_errors'"));
  CHECK_THAT(expect("band: 0.1\nfigures:\n  - {suite: t, metric: accuracy, value: 0.1}\n").text, Contains("none of the expected suites"));
  CHECK_THAT(expect("band: 0.1\nfigures: {}\n").text, Contains("'figures' must be a list"));
}
