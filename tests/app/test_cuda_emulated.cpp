#include <filesystem>
#include <fstream>
#include <string>

#include "app/program.h"
#include "results/results_reader.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"
#include "support/tiny_models.h"

using namespace assize::app_tests;
using assize::support::TemporaryFolder;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path kSource = assize::support::source_dir();

/// A job over the first pairs of the shapes suite with the shipped judge, a few tokens each.
std::string write_job(const TemporaryFolder& folder, const std::string& judge, int pairs, const std::string& more) {
  const auto suite = kSource / "configs/suites/shapes-pair";
  std::ifstream in(suite / "samples.jsonl");
  std::string lines;
  for (std::string line; pairs-- > 0 && std::getline(in, line);) lines += line + "\n";
  folder.write("suite/samples.jsonl", lines);
  folder.write("suite/suite.yaml", "id: shapes-pair\nprotocol: pair\nprompt: configs/prompts/shapes-pair.yaml\nlinks: anywhere\n");
  std::filesystem::create_directory_symlink(suite / "media", folder.path() / "suite/media");
  return folder.write("job.yaml", "kind: evaluate\njudge: " + judge + "\nsuites: [" + folder.string() +
                                      "/suite]\njudging: {votes: 2, orders: as_given, seed: 3}\n"
                                      "sampling: {temperature: 0.7, top_p: 0.9, max_new_tokens: 8}\n" + more +
                                      "output: " + folder.string() + "/out\n").string();
}

std::string shipped_judge() { return (kSource / "configs/judges/shapes-judge").string(); }

std::vector<std::string> texts(const std::string& run) {
  return assize::results::ResultsReader(run + "/results.h5").texts("judgements", "text");
}

}  // namespace

TEST_CASE("the emulated GPU judges: in one process, over MPI, and on two GPUs a judge") {
  if (!std::filesystem::exists(shipped_judge() + "/model.safetensors")) {
    WARN("skipped: configs/judges/shapes-judge holds no weights");
    return;
  }
  TemporaryFolder folder;
  const std::string job = write_job(folder, shipped_judge(), 3, "parallel: {device: cuda-emulated}\n");
  const std::string alone = folder.string() + "/alone", world = folder.string() + "/world";
  const std::string two = folder.string() + "/two", two_world = folder.string() + "/two-world", cpu = folder.string() + "/cpu";
  const auto run = [&](const std::string& output, const std::string& settings, const std::string& launcher) {
    const Outcome outcome = program("run " + job + " --set output=" + output + " " + settings, launcher);
    INFO(outcome.text);
    CHECK(outcome.code == 0);
  };
  run(alone, "", "");
  run(world, "", mpirun(3));  // two groups
  run(two, "--set parallel.tensor_parallel=2", "");
  run(two_world, "--set parallel.tensor_parallel=2", mpirun(3));
  run(cpu, "--set parallel.device=cpu", "");
  // The same bits in any world; on another degree or device the texts are close, not the same.
  CHECK(digest(alone) == digest(world));
  CHECK(digest(two) == digest(two_world));
  REQUIRE(texts(alone).size() == 6);
  int same = 0;
  for (std::size_t i = 0; i < 6; ++i) same += texts(alone)[i] == texts(cpu)[i];
  CHECK(same >= 4);

  const Outcome other = program("run " + job + " --set output=" + alone + " --set parallel.device=cpu");
  CHECK(other.code == 2);
  CHECK_THAT(other.text, Contains("numerics"));
}

TEST_CASE("device and numerics that do not go together are refused where they stand") {
  TemporaryFolder folder;
  const std::string job = write_job(folder, shipped_judge(), 1, "numerics: f32\nparallel: {device: cuda}\n");
  const Outcome f32 = program("check " + job);
  CHECK(f32.code == 2);
  CHECK_THAT(f32.text, Contains("job.yaml:6:1") && Contains("'numerics' is f32"));
  const Outcome bf16 = program("check " + job + " --set numerics=bf16 --set parallel.device=cpu");
  CHECK(bf16.code == 2);
  CHECK_THAT(bf16.text, Contains("'numerics' is bf16"));
  const Outcome fine = program("check " + job + " --set numerics=bf16");
  CHECK(fine.code == 0);
  CHECK_THAT(fine.text, Contains("device  cuda: bf16"));
}

TEST_CASE("GPUs that are allocated but cannot be used stop a run; the CPU is never taken silently") {
  TemporaryFolder folder;
  const std::string job = write_job(folder, shipped_judge(), 1, "");
  // A folder without plug-ins, and a process that was given a GPU.
  const std::string launcher = "ASSIZE_PLUGINS=" + folder.string() + " CUDA_VISIBLE_DEVICES=0";
  const Outcome outcome = program("run " + job, launcher);
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.text, Contains("CUDA_VISIBLE_DEVICES=0") && Contains("libassize_cuda.so") && Contains("parallel.device to cpu"));
  // With none given, auto is the CPU.
  CHECK(program("run " + job, "ASSIZE_PLUGINS=" + folder.string() + " CUDA_VISIBLE_DEVICES=").code == 0);
  const Outcome world = program("run " + job + " --fresh", "ASSIZE_PLUGINS=" + folder.string() + " CUDA_VISIBLE_DEVICES=0 " + mpirun(3));
  CHECK(world.code == 1);
  CHECK_THAT(world.text, Contains("cannot use the device"));
}

TEST_CASE("fewer emulated GPUs than workers are refused with the Slurm flag") {
  TemporaryFolder folder;
  const std::string job = write_job(folder, shipped_judge(), 1, "parallel: {device: cuda-emulated, tensor_parallel: 2}\n");
  const Outcome outcome = program("run " + job, "ASSIZE_EMULATED_GPUS=1");
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.text, Contains("--gpus-per-node"));
}
