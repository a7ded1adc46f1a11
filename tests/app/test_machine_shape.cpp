#include <fstream>
#include <string>
#include <vector>

#include "app/program.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/tiny_models.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using assize::support::TinyKind;
namespace fs = std::filesystem;

namespace {

/// A few pairs about pictures, five votes at temperature 0.7, judged by the tiny vision-language judge.
struct PictureRun {
  TemporaryFolder folder;
  std::string job = (folder.path() / "job.yaml").string();

  PictureRun() {
    assize::support::write_tiny_model(TinyKind::qwen2_5_vl, folder.path() / "judge");
    folder.write("suite/prompt.yaml", "id: p\nsystem: judge\nuser: \"{image} {question} {candidate_1} or {candidate_2}\"\n");
    folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n");
    const fs::path pictures = fs::path(assize::support::source_dir()) / "configs/suites/shapes-pair/media";
    fs::create_directories(folder.path() / "suite/media");
    const std::vector<std::string> names{"dev-0001.png", "dev-0002.png", "dev-0003.png"};
    for (const auto& name : names) fs::copy_file(pictures / name, folder.path() / "suite/media" / name);
    write_samples(false);
    folder.write("job.yaml", "kind: evaluate\njudge: judge\nsuites: [suite]\noutput: out\n"
                             "judging: {votes: 5, seed: 11}\nsampling: {temperature: 0.7, top_p: 0.95, max_new_tokens: 12}\n"
                             "parallel: {threads: 1}\n");
  }
  void write_samples(bool backwards) const {
    const std::vector<std::string> names{"dev-0001.png", "dev-0002.png", "dev-0003.png"};
    std::string lines;
    for (int i = 0; i < 4; ++i) {
      const std::string n = std::to_string(i);
      std::string images = i == 3 ? R"("media/)" + names[0] + R"(", "media/)" + names[1] + "\"" : R"("media/)" + names[static_cast<std::size_t>(i)] + "\"";
      const std::string line = R"({"id": "p)" + n + R"(", "question": "which is right )" + n + R"(", "images": [)" + images +
                               R"(], "candidates": ["a red square", "two green circles"], "human": "A"})" "\n";
      lines = backwards ? line + lines : lines + line;
    }
    folder.write("suite/samples.jsonl", lines);
  }
  std::string digest_of(const std::string& name, const std::string& settings, const std::string& launcher = "") const {
    const std::string out = folder.string() + "/" + name;
    const Outcome outcome = program("run " + job + " --set output=" + out + " " + settings, launcher);
    INFO(outcome.text);
    CHECK(outcome.code == 0);
    return digest(out);
  }
};

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}

}  // namespace

TEST_CASE("the same job gives the same digest on machines of any shape") {
  const PictureRun run;
  const std::string expected = run.digest_of("alone", "");
  REQUIRE(expected.size() == 32);
  SECTION("tensor parallel 2 and 4") {
    CHECK(run.digest_of("tp2", "--set parallel.tensor_parallel=2") == expected);
    CHECK(run.digest_of("tp4", "--set parallel.tensor_parallel=4") == expected);
  }
  SECTION("two groups, and a group of two ranks, under mpirun") {
    CHECK(run.digest_of("groups", "", mpirun(3)) == expected);
    CHECK(run.digest_of("mpi-tp2", "--set parallel.tensor_parallel=2", mpirun(3)) == expected);
  }
  SECTION("other batch limits, threads, and a small KV cache") {
    CHECK(run.digest_of("rows", "--set engine.step_rows=17 --set engine.slots=3 --set parallel.threads=2") == expected);
    CHECK(run.digest_of("kv", "--set engine.kv_memory_gib=0.0035") == expected);
    CHECK(run.digest_of("plain", "--set engine.prefix_sharing=off --set engine.fork=off --set engine.grouped_attention=off "
                                 "--set engine.encoder_cache=off") == expected);
  }
  SECTION("samples in another order") {
    run.write_samples(true);
    CHECK(run.digest_of("order", "") == expected);
  }
  SECTION("AVX2 forced, where the processor would use AVX-512") {
    if (!has_avx512()) {
      WARN("skipped: this processor has no AVX-512");
    } else {
      CHECK(run.digest_of("avx2", "--set parallel.instruction_set=avx2") == expected);
    }
  }
}

TEST_CASE("a broken picture and a prompt that is too long are failed rows; the run goes on") {
  const PictureRun run;
  run.folder.write("suite/media/broken.png", "this is no picture");
  std::ofstream samples(run.folder.path() / "suite/samples.jsonl", std::ios::app);
  samples << R"({"id": "x1", "question": "q", "images": ["media/broken.png"], "candidates": ["a", "b"], "human": "A"})" "\n";
  samples << R"({"id": "x2", "question": ")" << std::string(9000, 'w')
          << R"(", "images": ["media/dev-0001.png"], "candidates": ["a", "b"], "human": "A"})" "\n";
  samples.close();
  const Outcome outcome = program("run " + run.job + " --set judging.votes=1 --set output=" + run.folder.string() + "/out");
  CHECK(outcome.code == 3);
  CHECK_THAT(outcome.text, Catch::Matchers::Contains("12 of 12 calls judged, 4 failed"));
  std::ifstream page(run.folder.path() / "out/report.html");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  CHECK_THAT(text, Catch::Matchers::Contains("broken.png") && Catch::Matchers::Contains("context"));
}
