#include <filesystem>
#include <fstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/program.h"
#include "results/results_reader.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// Unlabelled data of three rows judged by a table of answers.
struct FakeLabels {
  TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();
  std::string out = (folder.path() / "out").string();

  FakeLabels(const std::string& protocol, const std::string& table, const std::string& extra = "") {
    folder.write("table.yaml", table);
    folder.write("score.yaml", "id: one\nuser: \"{question}|{candidate_1}\"\n");
    folder.write("pair.yaml", "id: two\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
    folder.write("media/x.png", "not looked at by a table");
    write_data("first");
    folder.write("job.yaml", "kind: label\njudge: {fake: table.yaml, id: j}\ndata: {file: data.jsonl, protocol: " + protocol + ", prompt: " +
                                 protocol + ".yaml}\noutput: " + out + "\n" + extra);
  }
  void write_data(const std::string& first) const {
    folder.write("data.jsonl", R"({"id": "z", "question": "q1", "candidates": [")" + first + R"(", "second", "third"], "topic": {"a": [1.5]}})" "\n\n"
                               R"({"id": 7, "question": "q2", "images": ["media/x.png"], "candidates": ["only"]})" "\n"
                               R"({"id": "a", "question": "q3", "candidates": [{"text": "fourth"}, "fifth"], "seed": 3})" "\n");
  }
  void write_pairs() const {
    folder.write("data.jsonl", R"({"id": "p", "question": "q", "images": ["media/x.png"], "candidates": ["one", "two"], "topic": "t"})" "\n"
                               R"({"id": "o", "question": "q", "candidates": ["one", "two"]})" "\n");
  }
  Outcome run(const std::string& extra = "") const { return program("run " + job + " " + extra); }
  std::vector<json> rows(const std::string& name) const {
    std::ifstream in(fs::path(out) / name);
    std::vector<json> rows;
    for (std::string line; std::getline(in, line);) rows.push_back(json::parse(line));
    return rows;
  }
};

constexpr const char* kScores =
    "default: {text: \"<answer>2</answer>\"}\n"
    "rows:\n"
    "  - {sample: z, presentation: \"1\", text: \"<answer>9</answer>\"}\n"
    "  - {sample: z, presentation: \"2\", text: \"no answer\"}\n"
    "  - {sample: a, presentation: \"0\", text: \"<answer>3.5</answer>\"}\n";

}  // namespace

TEST_CASE("label: rows keep their order, id and fields; an unreadable reward is null") {
  const FakeLabels fake("score", kScores);
  const Outcome outcome = fake.run();
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("6 of 6 calls judged, 0 failed; labels: ") && Contains("labels.jsonl"));
  const auto labels = fake.rows("labels.jsonl");
  REQUIRE(labels.size() == 3);
  CHECK(labels[0]["id"] == "z");
  CHECK(labels[0]["topic"] == json::parse(R"({"a": [1.5]})"));
  CHECK(labels[0]["rewards"] == json::parse("[2.0, 9.0, null]"));
  CHECK(labels[0]["ranks"] == json::parse("[2, 1, null]"));
  CHECK(labels[0]["best"] == 1);
  CHECK(labels[0]["unreadable"] == 1);
  CHECK(labels[0]["missing"] == 0);
  CHECK(labels[1]["id"] == 7);
  CHECK(labels[1]["rewards"] == json::parse("[2.0]"));
  CHECK(labels[2]["seed"] == 3);

  const auto pairs = fake.rows("pairs.jsonl");
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[0]["prompt"] == "q1");
  CHECK(pairs[0]["chosen"] == "second");
  CHECK(pairs[0]["rejected"] == "first");
  CHECK(pairs[0]["score_chosen"] == 9.0);
  CHECK(pairs[0]["score_rejected"] == 2.0);
  CHECK(pairs[0]["margin"] == 7.0);
  CHECK(pairs[0]["orders"].is_null());
  CHECK(pairs[1]["seed"] == 3);
  CHECK_FALSE(pairs[1].contains("candidates"));

  const assize::results::ResultsReader results(fs::path(fake.out) / "results.h5");
  CHECK(results.complete());
  CHECK(results.rows("pairs") == 2);
  const auto rewards = results.numbers("candidates", "reward");
  REQUIRE(rewards.size() == 6);  // samples by id: 7, a, z
  CHECK(rewards[0] == 2);
  CHECK(rewards[1] == 3.5);
  CHECK(rewards[5] != rewards[5]);
  CHECK(results.numbers("pairs", "chosen") == std::vector<double>{0, 1});
  CHECK_THAT(program("show " + fake.out).text, Contains("pairs") && Contains("mean reward"));
}

TEST_CASE("label: pairs in both orders say whether both were won") {
  const FakeLabels fake("pair",
                        "default: {text: \"<answer>8</answer><answer>3</answer>\"}\n"
                        "rows:\n  - {sample: p, presentation: \"1-0\", text: \"<answer>4</answer><answer>5</answer>\"}\n");
  fake.write_pairs();
  CHECK(fake.run().code == 0);
  const auto pairs = fake.rows("pairs.jsonl");
  REQUIRE(pairs.size() == 1);  // "o": the first shown wins both times, which is a tie of rewards
  CHECK(pairs[0]["id"] == "p");
  CHECK(pairs[0]["images"] == json::parse(R"(["media/x.png"])"));
  CHECK(pairs[0]["chosen"] == "one");
  CHECK(pairs[0]["score_chosen"] == 6.5);
  CHECK(pairs[0]["orders"] == "consistent");
  CHECK(pairs[0]["agreement"] == 1.0);
  CHECK(pairs[0]["topic"] == "t");
}

TEST_CASE("label: an interrupted run goes on, and the selection of pairs is free") {
  const FakeLabels fake("score", kScores, "limits: {samples: 2}\n");
  REQUIRE(fake.run().code == 0);
  CHECK(fake.rows("labels.jsonl").size() == 2);
  const Outcome more = fake.run("--set limits.samples=all --set pairs.choose=all --set pairs.margin=2");
  CHECK(more.code == 0);
  CHECK_THAT(more.text, Contains("calls are judged already"));
  CHECK(fake.rows("labels.jsonl").size() == 3);
  CHECK(fake.rows("pairs.jsonl").size() == 1);
  const FakeLabels whole("score", kScores, "pairs: {choose: all, margin: 2}\n");
  REQUIRE(whole.run().code == 0);
  CHECK(digest(fake.out) == digest(whole.out));
  CHECK(fake.rows("labels.jsonl") == whole.rows("labels.jsonl"));
}

TEST_CASE("label: changed data are refused with the row, and several groups change nothing") {
  const FakeLabels fake("score", kScores);
  REQUIRE(fake.run().code == 0);
  const std::string other = fake.out + "-mpi";
  REQUIRE(program("run " + fake.job + " --set output=" + other, mpirun(3)).code == 0);
  CHECK(digest(fake.out) == digest(other));
  fake.write_data("changed");
  const Outcome changed = fake.run();
  CHECK(changed.code == 2);
  CHECK_THAT(changed.text, Contains("sample 'z'") && Contains("was judged with another text"));
}

TEST_CASE("label: a rubric has every criterion judged on its own") {
  const FakeLabels fake("score",
                        "default: {text: \"<answer>2</answer>\"}\n"
                        "rows:\n"
                        "  - {sample: a, presentation: \"0\", text: \"<answer>{criterion}</answer>\"}\n");
  fake.folder.write("score.yaml", "id: one\nuser: \"{question}|{candidate_1}|{criterion}: {criterion_text}\"\n"
                                  "criteria: {\"4\": is it true, \"7\": is it clear}\n");
  const Outcome outcome = fake.run();
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("12 of 12 calls judged"));
  const auto labels = fake.rows("labels.jsonl");
  REQUIRE(labels.size() == 3);
  CHECK(labels[2]["rewards"] == json::parse("[5.5, 2.0]"));
  CHECK(labels[2]["criteria"] == json::parse(R"({"4": [4.0, 2.0], "7": [7.0, 2.0]})"));
  CHECK_THAT(program("prompt " + fake.job + " --sample a").text,
             Contains("--- criterion 4, candidates 0") && Contains("q3|fourth|4: is it true") && Contains("q3|fifth|7: is it clear"));
  fake.folder.write("score.yaml", "id: one\nuser: \"{question}|{candidate_1}\"\ncriteria: {clarity: is it clear}\n");
  CHECK_THAT(fake.run("--fresh").text, Contains("'user' never shows {criterion} or {criterion_text}"));
}

TEST_CASE("label: what is wrong with job or data is said with its place") {
  const FakeLabels fake("score", kScores);
  CHECK_THAT(fake.run("--set pairs.orders_agree=required").text, Contains("needs candidates that are compared in both orders"));
  CHECK_THAT(fake.run("--set data.file=nowhere.jsonl").text, Contains("'data.file': 'nowhere.jsonl' does not exist"));
  CHECK_THAT(fake.run("--set data.protocol=pair --set data.prompt=pair.yaml").text,
             Contains("data.jsonl:3: sample '7': has 1 candidates, protocol pair takes 2 to 1000"));
  fake.folder.write("data.jsonl", R"({"id": "a", "question": "q", "candidates": ["x"], "rewards": 1})" "\n");
  CHECK_THAT(fake.run().text, Contains("data.jsonl:1: sample 'a': the field 'rewards' is one that assize writes"));
}

TEST_CASE("label: four shards of three rows, of which one has none, merge into the rows of one run") {
  const FakeLabels fake("score", kScores);
  REQUIRE(fake.run().code == 0);
  std::string shards;
  for (int i = 0; i < 4; ++i) {
    const std::string shard = fake.out + std::to_string(i);
    REQUIRE(fake.run("--set limits.shard=" + std::to_string(i) + "/4 --set output=" + shard).code == 0);
    shards += " " + shard;
  }
  const std::string merged = fake.out + "-merged";
  CHECK_THAT(program("merge " + merged + shards).text, Contains("6 of 6 calls judged, 0 failed; labels: "));
  CHECK(digest(merged) == digest(fake.out));
  std::ifstream one(fs::path(fake.out) / "labels.jsonl"), all(fs::path(merged) / "labels.jsonl");
  CHECK(std::string(std::istreambuf_iterator<char>(one), {}) == std::string(std::istreambuf_iterator<char>(all), {}));
}
