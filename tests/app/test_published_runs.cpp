#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/program.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

// Published outputs of judges, answered by the fake judge, go the whole way (YAML, MPI, journal, HDF5, metrics) and come
// out as the published figures. Needs ASSIZE_PUBLISHED_DATA, the folder with EXPECTED.json.

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// The folder with the published data; empty (and said so) where it is not there.
fs::path published() {
  const char* folder = std::getenv("ASSIZE_PUBLISHED_DATA");
  if (!folder) WARN("skipped: ASSIZE_PUBLISHED_DATA is not set");
  return folder ? folder : "";
}

Json read_json(const fs::path& file) {
  std::ifstream in(file);
  return Json::parse(in);
}

/// A figure of EXPECTED.json.
double expected(const fs::path& data, const std::string& set, const std::string& metric, const std::string& row) {
  const Json figures = read_json(data / "EXPECTED.json");
  for (const Json& group : figures.at("groups")) {
    if (group.at("set") != set || group.at("metric") != metric) continue;
    for (const Json& entry : group.at("rows")) {
      if (entry.at(0) == row) return entry.at(1);
    }
  }
  FAIL("EXPECTED.json has no " << set << ", " << metric << ", " << row);
  return 0;
}

/// `value` as it is printed to `decimals` places.
double rounded(double value, int decimals) {
  const double unit = std::pow(10.0, decimals);
  return std::round(value * unit) / unit;
}

/// A suite of one folder and the answers of a judge to it.
struct PublishedRun {
  TemporaryFolder folder;
  std::string samples, rows;

  void add(const Json& sample) { samples += sample.dump() + "\n"; }
  void answer(const std::string& sample, const std::string& text, const std::string& presentation = "") {
    Json row{{"sample", sample}, {"text", text}};
    if (!presentation.empty()) row["presentation"] = presentation;
    rows += "  - " + row.dump() + "\n";
  }

  /// Runs it on `ranks` ranks; the first suite of metrics.json.
  Json run(const std::string& suite_keys, const std::string& prompt, const std::string& judging, int ranks = 2) const {
    folder.write("suite/samples.jsonl", samples);
    folder.write("suite/prompt.yaml", prompt);
    folder.write("suite/suite.yaml", "id: published\nprompt: prompt.yaml\n" + suite_keys);
    folder.write("table.yaml", "slots: 64\nrows:\n" + rows);
    const std::string out = (folder.path() / "out").string();
    folder.write("job.yaml", "kind: evaluate\njudge: {fake: table.yaml, id: published}\nsuites: [suite]\njudging: {" + judging +
                                 "}\nlimits: {stop_above: 1}\noutput: " + out + "\n");
    const Outcome outcome = program("run --fresh " + (folder.path() / "job.yaml").string(), mpirun(ranks));
    INFO(outcome.text);
    REQUIRE(outcome.code == 0);
    REQUIRE(digest(out).size() == 32);
    return read_json(fs::path(out) / "metrics.json").at("suites").at(0);
  }
};

/// A metric of the whole suite, or of one of its groups.
double metric(const Json& suite, const std::string& name, const std::string& group = "") {
  for (const Json& row : suite.at("metrics")) {
    if (row.at("group") == group && row.at("name") == name) return row.at("value");
  }
  FAIL("metrics.json has no " << name);
  return 0;
}

const std::string kPairPrompt = "id: p\nuser: \"{question} {candidate_1} {candidate_2}\"\nverdict: ";

}  // namespace

TEST_CASE("published runs: PandaLM's table of gpt-3.5-turbo and PandaLM-7B") {
  const fs::path data = published();
  if (data.empty()) return;
  struct Judge {
    std::string name, file, key;
  };
  for (const Judge& judge : {Judge{"gpt-3.5-turbo", "gpt-3.5-turbo-testset-v1.json", "gpt_result"},
                             Judge{"PandaLM-7B", "pandalm-7b-testset-v1.json", "pandalm_result"}}) {
    INFO(judge.name);
    PublishedRun published_run;
    const std::vector<std::string> labels{"tie", "A", "B"};
    for (const Json& row : read_json(data / "text/pandalm/testset-v1.json")) {
      std::map<int, int> votes;
      for (const char* annotator : {"annotator1", "annotator2", "annotator3"}) ++votes[row.at(annotator).get<int>()];
      int majority = -1;
      for (const auto& [label, count] : votes) majority = count > 1 ? label : majority;
      published_run.add({{"id", std::to_string(row.at("idx").get<int>())}, {"candidates", {"1", "2"}},
                         {"human", labels.at(static_cast<std::size_t>(majority))}});
    }
    const std::map<std::string, std::string> answers{{"0", "tie"}, {"1", "A"}, {"2", "B"}, {"Tie", "tie"}};
    for (const Json& row : read_json(data / "text/pandalm" / judge.file)) {
      const Json& result = row.at(judge.key);
      const std::string text = result.is_string() ? result.get<std::string>() : result.dump();
      const auto known = answers.find(text);
      published_run.answer(std::to_string(row.at("idx").get<int>()),
                           known == answers.end() ? text : "<answer>" + known->second + "</answer>");
    }
    const Json suite = published_run.run("protocol: pair\n", kPairPrompt + "{form: choice}\n", "orders: as_given, on_unreadable: tie");
    CHECK(suite.at("calls").at("unreadable") == (judge.name == "gpt-3.5-turbo" ? 25 : 0));
    CHECK(rounded(100 * metric(suite, "accuracy"), 2) == Approx(expected(data, "pandalm", "accuracy_percent", judge.name)));
    CHECK(rounded(100 * metric(suite, "macro precision"), 2) == Approx(expected(data, "pandalm", "macro_precision_percent", judge.name)));
    CHECK(rounded(100 * metric(suite, "macro recall"), 2) == Approx(expected(data, "pandalm", "macro_recall_percent", judge.name)));
    CHECK(rounded(100 * metric(suite, "macro F1"), 2) == Approx(expected(data, "pandalm", "macro_f1_percent", judge.name)));
  }
}

TEST_CASE("published runs: LLMBar's counts of GPT-4 with reasons, from its texts in both orders") {
  const fs::path data = published();
  if (data.empty()) return;
  PublishedRun published_run;
  int index = 0;
  for (const Json& row : read_json(data / "text/llmbar/raw/Natural.GPT-4.CoT.result.json")) {
    const std::string id = std::to_string(index++);
    published_run.add({{"id", id}, {"question", row.at("input")}, {"candidates", {row.at("output_1"), row.at("output_2")}},
                       {"human", row.at("label") == 1 ? "A" : "B"}});
    const Json& results = row.at("results").at(0);
    published_run.answer(id, results.at("swap = False").at("completion").at(0), "0-1");
    published_run.answer(id, results.at("swap = True").at("completion").at(0), "1-0");
  }
  // The texts end with "Output (a) is better."
  const std::string prompt = kPairPrompt + "{pattern: 'Output \\((a|b)\\) is better', take: last}\n";
  const std::string name = "LLMBar/Natural GPT-4/CoT", keys = "protocol: pair\nties: none\n";
  const Json both = published_run.run(keys, prompt, "orders: both", 3);
  CHECK(both.at("orders").at("consistent") == expected(data, "llmbar", "equal_count", name));
  // Orders that disagree are a tie, which is wrong here: what is left is right in both.
  CHECK(rounded(100 * metric(both, "accuracy"), 6) == Approx(expected(data, "llmbar", "correct_both_count", name)));
  const Json one = published_run.run(keys, prompt, "orders: as_given");
  CHECK(rounded(100 * metric(one, "accuracy"), 6) == Approx(expected(data, "llmbar", "correct_False_count", name)));
}

TEST_CASE("published runs: GenAI-Bench's accuracy of GPT-4o on edits, from its texts") {
  const fs::path data = published();
  if (data.empty()) return;
  PublishedRun published_run;
  const std::map<std::string, std::string> votes{
      {"leftvote", "A>B"}, {"rightvote", "B>A"}, {"tievote", "A=B=Good"}, {"bothbad_vote", "A=B=Bad"}};
  std::ifstream lines(data / "image/genai-bench/raw/image_edition.gpt4o.pairwise.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const Json row = Json::parse(line);
    const std::string id = std::to_string(row.at("idx").get<int>());
    published_run.add({{"id", id}, {"question", row.at("instruct_prompt")}, {"candidates", {"left", "right"}},
                       {"human", votes.at(row.at("human_vote"))}});
    published_run.answer(id, row.at("response"));
  }
  const Json suite = published_run.run("protocol: label\n", kPairPrompt + "{pattern: '\\[\\[(.*?)\\]\\]', take: first}\n",
                                       "orders: as_given, on_unreadable: wrong");
  CHECK(suite.at("samples") == 919);
  CHECK(rounded(100 * metric(suite, "accuracy"), 2) == Approx(expected(data, "genai-bench", "accuracy_percent", "image_edition gpt4o")));
}

TEST_CASE("published runs: GenAI-Bench's table of all judges of pictures") {
  const fs::path data = published();
  if (data.empty()) return;
  const Json votes = read_json(data / "image/genai-bench/votes.json");
  const std::map<char, std::string> labels{{'A', "A>B"}, {'B', "B>A"}, {'G', "A=B=Good"}, {'D', "A=B=Bad"}};
  const std::map<char, std::string> answers{{'A', "[[A>B]]"}, {'B', "[[B>A]]"}, {'G', "[[A=B=Good]]"}, {'D', "[[A=B=Bad]]"},
                                            {'E', "[[A=B]]"}, {'?', "[[C]]"}, {'-', "no verdict"}};
  const std::vector<std::string> tasks{"image_generation", "image_edition"};
  const Json figures = read_json(data / "EXPECTED.json");
  std::map<std::string, double> table;
  for (const Json& group : figures.at("groups")) {
    if (group.at("set") != "genai-bench") continue;
    for (const Json& row : group.at("rows")) table[row.at(0)] = row.at(1);
  }
  REQUIRE(table.size() == 32);
  int checked = 0;
  for (const auto& [judge, unused] : votes.at(tasks[0]).at("models").items()) {
    if (!table.count(tasks[0] + " " + judge)) continue;  // judges of videos
    INFO(judge);
    PublishedRun published_run;
    for (const std::string& task : tasks) {
      const std::string human = votes.at(task).at("human"), given = votes.at(task).at("models").at(judge).at("vote");
      REQUIRE(human.size() == given.size());
      for (std::size_t i = 0; i < human.size(); ++i) {
        const std::string id = task + std::to_string(i);
        published_run.add({{"id", id}, {"group", task}, {"candidates", {"left", "right"}}, {"human", labels.at(human[i])}});
        published_run.answer(id, answers.at(given[i]));
      }
    }
    const Json suite = published_run.run("protocol: label\n", kPairPrompt + "{pattern: '\\[\\[(.*?)\\]\\]', take: first}\n",
                                         "orders: as_given, on_unreadable: wrong", 1);
    for (const std::string& task : tasks) {
      // [[A=B]] counts as either tie there; one judge wrote it, twice, once where people saw a tie. Here it is no label.
      const bool one_off = judge == "gemini-1.5-pro" && task == "image_generation";
      CHECK(rounded(100 * metric(suite, "accuracy", task), 2) == Approx(one_off ? 44.61 : table.at(task + " " + judge)).margin(1e-9));
      ++checked;
    }
  }
  CHECK(checked == 32);
}

TEST_CASE("published runs: BVCC's figures of a trained model, by utterance and by system") {
  const fs::path data = published();
  if (data.empty()) return;
  PublishedRun published_run;
  std::ifstream lines(data / "speech/bvcc_test_predictions.csv");
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::vector<std::string> cells;  // system_id, sample_id, avg_score (people's mean), answer
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
    const std::string id = cells.at(0) + "-" + cells.at(1);
    published_run.add({{"id", id}, {"group", cells.at(0)}, {"candidates", {"speech"}}, {"human", std::stod(cells.at(2))}});
    published_run.answer(id, "<answer>" + cells.at(3) + "</answer>");
  }
  const Json suite = published_run.run("protocol: score\nrange: [1, 5]\n",
                                       "id: p\nuser: \"{candidate_1}\"\nverdict: {form: scores, scale: [0, 6]}\n", "on_unreadable: exclude");
  CHECK(suite.at("samples") == 1066);
  CHECK(rounded(metric(suite, "mean squared error"), 3) == Approx(expected(data, "bvcc", "MSE", "utterance")));
  CHECK(rounded(metric(suite, "Pearson"), 3) == Approx(expected(data, "bvcc", "LCC (Pearson)", "utterance")));
  CHECK(rounded(metric(suite, "Spearman"), 3) == Approx(expected(data, "bvcc", "SRCC (Spearman)", "utterance")));
  CHECK(rounded(metric(suite, "Kendall tau-b"), 3) == Approx(expected(data, "bvcc", "KTAU (tau-b)", "utterance")));
  CHECK(rounded(metric(suite, "system-level Pearson"), 4) == Approx(expected(data, "bvcc", "LCC (Pearson)", "system")));
  CHECK(rounded(metric(suite, "system-level Spearman"), 4) == Approx(expected(data, "bvcc", "SRCC (Spearman)", "system")));
  CHECK(rounded(metric(suite, "system-level Kendall tau-b"), 3) == Approx(expected(data, "bvcc", "KTAU (tau-b)", "system")));
}
