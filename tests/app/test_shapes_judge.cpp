#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "app/program.h"
#include "results/results_reader.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kSource = assize::support::source_dir();
const fs::path kJudge = kSource / "configs/judges/shapes-judge";
const fs::path kPairs = kSource / "configs/suites/shapes-pair";

/// Whether the judge that ships with the repository is there; says so where it is not.
bool judge_is_there() {
  if (fs::exists(kJudge / "model.safetensors")) return true;
  WARN("skipped: configs/judges/shapes-judge holds no weights");
  return false;
}

/// The first `count` lines of the pair suite as a suite of its own in `folder`, over the pictures in `media`.
std::string first_pairs(const TemporaryFolder& folder, int count, const fs::path& media) {
  std::ifstream in(kPairs / "samples.jsonl");
  std::string lines;
  for (std::string line; count-- > 0 && std::getline(in, line);) lines += line + "\n";
  folder.write("suite/samples.jsonl", lines);
  folder.write("suite/suite.yaml", "id: shapes-pair\nprotocol: pair\nprompt: configs/prompts/shapes-pair.yaml\nlinks: anywhere\n");
  fs::create_directory_symlink(media, folder.path() / "suite/media");
  return (folder.path() / "suite").string();
}

/// Greedy verdicts of the shipped judge by sample id, candidates as given; "" where there is none.
std::map<std::string, std::string> verdicts(const TemporaryFolder& folder, const std::string& suite) {
  const std::string job = folder.write("job.yaml", "kind: evaluate\njudge: " + kJudge.string() + "\nsuites: [" + suite +
                                                       "]\njudging: {votes: 1, orders: as_given}\nsampling: {temperature: 0, "
                                                       "max_new_tokens: 320}\noutput: " + folder.string() + "/out\n").string();
  const Outcome outcome = program("run " + job);
  INFO(outcome.text);
  REQUIRE(outcome.code == 0);
  const assize::results::ResultsReader reader(folder.path() / "out/results.h5");
  const auto ids = reader.texts("samples", "id"), choices = reader.texts("samples", "choice");
  std::map<std::string, std::string> found;
  for (std::size_t i = 0; i < ids.size(); ++i) found[ids[i]] = choices[i];
  return found;
}

/// Share of equal entries.
double agreement(const std::map<std::string, std::string>& verdicts, const std::map<std::string, std::string>& labels) {
  double equal = 0;
  for (const auto& [id, choice] : verdicts) equal += labels.at(id) == choice;
  return equal / static_cast<double>(verdicts.size());
}

std::map<std::string, std::string> labels() {
  std::map<std::string, std::string> found;
  std::ifstream in(kPairs / "samples.jsonl");
  for (std::string line; std::getline(in, line);) {
    const json sample = json::parse(line);
    found[sample.at("id")] = sample.at("human");
  }
  return found;
}

json golden(const std::string& name) {
  std::ifstream in(kSource / "tests/golden" / name);
  return json::parse(in);
}

}  // namespace

TEST_CASE("the shipped judge gives the reference's verdicts, and looking matters") {
  if (!judge_is_there()) return;
  TemporaryFolder folder, grey_folder;
  std::map<std::string, std::string> expected;
  const json recorded = golden("shapes_verdicts.json");
  for (const auto& [id, verdict] : recorded.items()) {
    expected[id] = verdict.is_null() ? "" : verdict.get<std::string>();
  }
  const auto seen = verdicts(folder, first_pairs(folder, 100, kPairs / "media"));
  CHECK(seen == expected);

  fs::create_directories(grey_folder.path() / "grey");
  for (const auto& picture : fs::directory_iterator(kPairs / "media")) {
    fs::copy_file(kSource / "tests/golden/grey.png", grey_folder.path() / "grey" / picture.path().filename());
  }
  const auto blind = verdicts(grey_folder, first_pairs(grey_folder, 100, grey_folder.path() / "grey"));
  const auto truth = labels();
  INFO("agreement seeing " << agreement(seen, truth) << ", blind " << agreement(blind, truth));
  // Three labels, of which the most frequent is right in about 40 of 100; the standard deviation is 5.
  CHECK(agreement(blind, truth) < 0.55);
  CHECK(agreement(seen, truth) > agreement(blind, truth));
}

TEST_CASE("the shipped judge writes what transformers writes, up to near-ties") {
  if (!judge_is_there()) return;
  const json expected = golden("shapes_texts.json");
  TemporaryFolder folder;
  std::string prompts;
  std::map<std::string, json> samples;
  for (const json& item : expected.at("items")) {
    const std::string suite = item.at("suite"), id = item.at("id");
    if (!samples.count(suite + "/" + id)) {
      std::ifstream in(kSource / "configs/suites" / suite / "samples.jsonl");
      for (std::string line; std::getline(in, line);) {
        const json sample = json::parse(line);
        samples[suite + "/" + sample.at("id").get<std::string>()] = sample;
      }
    }
    const json& sample = samples.at(suite + "/" + id);
    json images = json::array();
    const auto add = [&](const json& from) {
      for (const json& name : from.value("images", json::array())) {
        images.push_back((kSource / "configs/suites" / suite / name.get<std::string>()).string());
      }
    };
    add(sample);
    for (const json& candidate : sample.at("candidates")) add(candidate);
    prompts += json{{"prompt", item.at("prompt")}, {"images", images}}.dump() + "\n";
  }
  const auto file = folder.write("prompts.jsonl", prompts);
  const Outcome outcome = program("generate " + kJudge.string() + " --prompts " + file.string() + " --max-new-tokens 320");
  std::vector<json> lines;
  std::istringstream in(outcome.text);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line[0] == '{') lines.push_back(json::parse(line));
  }
  REQUIRE(lines.size() == expected.at("items").size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const json& item = expected.at("items")[i];
    INFO(item.at("suite") << " " << item.at("id"));
    CHECK(lines[i].at("prompt_ids") == item.at("prompt_ids"));
    const auto ours = lines[i].at("ids").get<std::vector<int>>(), theirs = item.at("ids").get<std::vector<int>>();
    const auto margins = item.at("margins").get<std::vector<double>>();
    const std::size_t same = static_cast<std::size_t>(
        std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end()).first - ours.begin());
    if (same < ours.size() || same < theirs.size()) CHECK(margins.at(same) < 1e-3);
  }
}
