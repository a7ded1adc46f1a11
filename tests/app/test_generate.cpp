#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/generate.h"
#include "base/error.h"
#include "support/catch.h"
#include "support/tiny_models.h"

using namespace assize;
using nlohmann::json;

namespace {

/// A tiny judge, a file of prompts and a picture beside it.
struct Setup {
  explicit Setup(support::TinyKind kind) {
    support::write_tiny_model(kind, folder.path() / "judge");
    options.judge_folder = (folder.path() / "judge").string();
    options.prompts_file = (folder.path() / "prompts.jsonl").string();
    options.max_new_tokens = 12;
    options.threads = 1;
  }
  void prompts(const std::string& lines) const { std::ofstream(options.prompts_file) << lines; }
  /// The lines that come out, and the exit code.
  std::vector<json> run() {
    std::ostringstream out;
    code = app::generate(options, out);
    std::vector<json> lines;
    std::istringstream in(out.str());
    for (std::string line; std::getline(in, line);) lines.push_back(json::parse(line));
    return lines;
  }
  support::TemporaryFolder folder;
  app::GenerateOptions options;
  int code = -1;
};

}  // namespace

TEST_CASE("each prompt gives a line in the order of the file") {
  Setup setup(support::TinyKind::llama);
  std::string lines;
  for (int i = 0; i < 200; ++i)
    lines += json{{"prompt", std::string(1 + i % 7, 'a') + std::to_string(i)}}.dump() + "\n\n";
  setup.prompts(lines);
  setup.options.max_new_tokens = 2;
  setup.options.logprobs = 3;
  const auto out = setup.run();
  REQUIRE(setup.code == 0);
  REQUIRE(out.size() == 200);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::string prompt = std::string(1 + i % 7, 'a') + std::to_string(i);
    REQUIRE(out[i]["prompt_ids"] == json(std::vector<int>(prompt.begin(), prompt.end())));
    REQUIRE(out[i]["image_grid"] == json::array());
    const std::size_t steps = out[i]["ids"].size();
    REQUIRE((out[i]["finish"] == "stop" || steps == 2));
    REQUIRE(out[i]["top_logprobs"].size() == steps);
    for (std::size_t k = 0; k < steps; ++k) {
      REQUIRE(out[i]["top_logprobs"][k].size() == 3);
      REQUIRE(out[i]["top_logprobs"][k][0][0] == out[i]["ids"][k]);
      REQUIRE(out[i]["top_logprobs"][k][0][1].get<double>() <= 0);
    }
  }
}

TEST_CASE("a prompt that fails says why and the others go on") {
  Setup setup(support::TinyKind::qwen2_5_vl);
  std::ofstream(setup.folder.path() / "broken.png") << "not a picture";
  const std::string with_picture = "a<|vision_start|><|image_pad|><|vision_end|>b";
  setup.prompts(json{{"prompt", "one"}}.dump() + "\n" +                                              //
                json{{"prompt", with_picture}, {"images", {"broken.png"}}}.dump() + "\n" +           //
                json{{"prompt", with_picture}}.dump() + "\n" + json{{"prompt", ""}}.dump() + "\n" +  //
                json{{"prompt", "one"}}.dump() + "\n");
  const auto out = setup.run();
  REQUIRE(setup.code == 1);
  REQUIRE(out.size() == 5);
  for (const int i : {1, 2, 3}) {
    REQUIRE(out[i]["finish"] == "error");
    REQUIRE(out[i]["ids"].empty());
  }
  REQUIRE(out[1]["error"].get<std::string>().find("broken.png") != std::string::npos);
  REQUIRE(out[0]["ids"].size() > 0);
  REQUIRE(out[0] == out[4]);
}

TEST_CASE("sampling depends on seed and line") {
  Setup setup(support::TinyKind::llama);
  setup.options.temperature = 1;
  setup.prompts("{\"prompt\": \"ab\"}\n{\"prompt\": \"ab\"}\n");
  const auto first = setup.run();
  REQUIRE(first == setup.run());
  REQUIRE(first[0]["ids"] != first[1]["ids"]);
  setup.options.seed = 1;
  REQUIRE(first != setup.run());
}

TEST_CASE("a broken line is named before the judge is loaded") {
  Setup setup(support::TinyKind::llama);
  std::filesystem::remove(setup.folder.path() / "judge" / "model.safetensors");
  for (const char* line :
       {"{\"prompt\": 3}", "[1]", "{\"prompt\": \"a\"", "{\"prompt\": \"a\", \"images\": \"b\"}"}) {
    setup.prompts("{\"prompt\": \"a\"}\n" + std::string(line) + "\n");
    std::string message;
    try {
      setup.run();
    } catch (const base::Error& error) {
      message = error.what();
    }
    INFO(message);
    REQUIRE(message.find("prompts.jsonl:2: ") != std::string::npos);
  }
}
