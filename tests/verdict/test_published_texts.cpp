#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "support/catch.h"
#include "verdict/verdict.h"

// Texts of real judges, read by forms that a prompt file can state, against the verdicts that their authors
// read.
namespace assize::verdict {
namespace {

using nlohmann::json;

const std::vector<std::uint16_t> kForward = {0, 1}, kReverse = {1, 0};

std::string data_folder() {
  const char* folder = std::getenv("ASSIZE_PUBLISHED_DATA");
  if (!folder) WARN("skipped: ASSIZE_PUBLISHED_DATA is not set");
  return folder ? folder : "";
}

ParserProfile custom(const std::string& pattern, Take take) {
  ParserProfile profile;
  profile.form = Form::custom;
  profile.custom = {pattern, take, std::nullopt};
  return profile;
}

}  // namespace

TEST_CASE("GenAI-Bench: 919 texts of GPT-4o read as its harness read them", "[published]") {
  const std::string folder = data_folder();
  if (folder.empty()) return;
  std::ifstream file(folder + "/image/genai-bench/raw/image_edition.gpt4o.pairwise.jsonl");
  const auto profile = custom(R"(\[\[(.*?)\]\])", Take::first);
  std::string line;
  int texts = 0;
  while (std::getline(file, line)) {
    const auto row = json::parse(line);
    const auto verdict =
        read_verdict(row.at("response").get<std::string>(), Protocol::label, 2, kForward, profile);
    INFO(row.at("idx") << ": " << verdict.reason);
    CHECK("[[" + verdict.choice + "]]" == row.at("model_vote").get<std::string>());
    ++texts;
  }
  CHECK(texts == 919);
}

TEST_CASE("LLMBar: texts of GPT-4 and ChatGPT read as their authors read them, both orders", "[published]") {
  const std::string folder = data_folder();
  if (folder.empty()) return;
  // The closing sentence in the forms that occur.
  const auto profile = custom(R"((?i)output \(([ab])\) is (?:the )?better)", Take::last);
  int texts = 0, read = 0, differ = 0;
  for (const char* name : {"Natural.GPT-4.CoT", "Manual.ChatGPT.CoT"}) {
    std::ifstream file(folder + "/text/llmbar/raw/" + std::string(name) + ".result.json");
    for (const auto& item : json::parse(file)) {
      for (const auto& [order, result] : item.at("results")[0].items()) {
        ++texts;
        const auto& presentation = order == "swap = True" ? kReverse : kForward;
        const auto verdict = read_verdict(result.at("completion")[0].get<std::string>(), Protocol::pair, 2,
                                          presentation, profile);
        if (!verdict.ok()) continue;
        ++read;
        const auto& winner = result.at("winner");
        differ += winner.is_null() || (verdict.choice == "A" ? "1" : "2") != winner.get<std::string>();
      }
    }
  }
  CHECK(texts == 292);
  CHECK(read >= 280);
  CHECK(differ == 0);
}

TEST_CASE("VIEScore: score lists of GPT-4o by a stated pattern", "[published]") {
  const std::string folder = data_folder();
  if (folder.empty()) return;
  std::ifstream file(folder + "/image/viescore/raw/gpt4o.T2I.SDXL.SC.first60.json");
  auto profile = custom(R"(\[\s*(\d+(?:\.\d+)?))", Take::first);
  profile.low = 0;
  int texts = 0;
  const auto samples = json::parse(file);
  for (const auto& [id, sample] : samples.items()) {
    const auto& score = sample.at("score");
    const auto numbers = score.is_string() ? json::parse(score.get<std::string>()) : score;
    const auto verdict = read_verdict("<think>" + sample.at("reasoning").get<std::string>() +
                                          "</think>\n{\"score\" : " + numbers.dump() + "}",
                                      Protocol::score, 1, std::vector<std::uint16_t>{0}, profile);
    INFO(id << ": " << verdict.reason);
    CHECK(verdict.value == numbers[0].get<double>());
    ++texts;
  }
  CHECK(texts == 60);
}

}  // namespace assize::verdict
