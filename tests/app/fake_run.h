#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "app/program.h"
#include "support/temporary_folder.h"

namespace assize::app_tests {

/// A suite of 30 pairs judged by a table of answers: 120 calls.
struct FakeRun {
  support::TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();
  std::string out = (folder.path() / "out").string();

  explicit FakeRun(const std::string& table = "default: {text: \"<answer>{random:1:10}</answer><answer>{random:1:10}</answer>\"}\n") {
    folder.write("table.yaml", table);
    folder.write("suite/prompt.yaml", "id: p\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n");
    folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n");
    write_samples("");
    folder.write("job.yaml", "kind: evaluate\njudge: {fake: table.yaml, id: j}\nsuites: [suite]\noutput: " + out +
                                 "\njudging: {votes: 2, seed: 3}\n");
  }
  void write_samples(const std::string& addition, bool backwards = false) const {
    std::string lines;
    for (int i = 0; i < 30; ++i) {
      const std::string n = std::to_string(i);
      const std::string line = R"({"id": "a)" + n + R"(", "question": "q)" + n + addition + R"(", "candidates": ["one", "two"], "human": ")" +
                               (i % 3 ? "A" : "B") + "\"}\n";
      lines = backwards ? line + lines : lines + line;
    }
    folder.write("suite/samples.jsonl", lines);
  }
  Outcome run(const std::string& extra = "") const { return program("run " + job + " " + extra); }
};

inline std::string contents(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace assize::app_tests
