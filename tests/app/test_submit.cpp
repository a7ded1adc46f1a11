#include <filesystem>
#include <fstream>

#include "app/batch_script.h"
#include "app/program.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/temporary_folder.h"

using namespace assize;
using app_tests::Outcome;
using app_tests::program;
using Catch::Matchers::Contains;
using support::TemporaryFolder;

namespace fs = std::filesystem;

namespace {

constexpr double kGibibyte = 1024.0 * 1024 * 1024;

/// A job, a site and a cost as of Flex-VL-7B: 8.3 billion weights in two bytes.
struct Case {
  job::JobSpec job;
  job::Site site;
  app::SubmitOptions options;
  app::Cost cost;
  app::ScriptPaths paths{"/opt/assize", "/share/slurm", "/home/u/job.yaml", "/scratch/runs/flex"};

  Case() {
    job.judge.id = "flex";
    job.parallel.tensor_parallel = 2;
    site.name = "big";
    site.cores = 64;
    site.memory_gib = 500;
    site.gpus = 8;
    site.gpu_memory_gib = 80;
    site.gpu_tflops = 100;
    options.nodes = 64;
    cost.calls = 1000;
    cost.weight_bytes = 7.75 * kGibibyte;
    cost.kv_bytes = 0.5 * kGibibyte;
    cost.flop = 512 * 100e12 * 7200;  // two hours on 512 GPUs
  }
  std::string script(const std::vector<std::string>& settings = {}) const {
    return app::batch_script(job, site, options, cost, app::lay_out(job, site, options, cost), paths, settings);
  }
};

/// One sample that every prompt of a suite with this text can show.
std::string stand_in_sample(const std::string& suite) {
  const auto is = [&suite](const char* protocol) { return suite.find(std::string("\nprotocol: ") + protocol) != std::string::npos; };
  const std::string candidate = R"({"text": "an answer", "images": ["media/a.png"]})";
  const std::string human = is("score") ? "3" : is("pair") ? "\"A\"" : is("label") ? "\"A>B\"" : "\"AB\"";
  return R"({"id": "a", "question": "What?", "images": ["media/a.png"], "human": )" + human +
         R"(, "fields": {"source_prompt": "s", "target_prompt": "t", "instruct_prompt": "i"}, "candidates": [)" + candidate +
         (is("score") ? "" : ", " + candidate) + "]}\n";
}

}  // namespace

TEST_CASE("submit: 64 nodes of 8 GPUs are 512 workers and a coordinator that takes no GPU") {
  Case big;
  const app::Layout layout = app::lay_out(big.job, big.site, big.options, big.cost);
  CHECK(layout.on_gpus);
  CHECK(layout.workers == 8);
  CHECK(layout.ranks == 513);
  CHECK(layout.groups == 256);
  CHECK(layout.cores_per_worker == 8);
  CHECK(layout.hours == Approx(2));
  CHECK(layout.time_limit_minutes == 240);
  const std::string script = big.script();
  for (const char* line : {"#SBATCH --nodes=64\n", "#SBATCH --ntasks-per-node=8\n", "#SBATCH --gpus-per-node=8\n", "#SBATCH --exclusive\n",
                           "#SBATCH --mem=0\n", "#SBATCH --time=0-04:00:00\n", "#SBATCH --requeue\n", "#SBATCH --signal=B:USR1@120\n",
                           "export ASSIZE_WORKERS=8\n", "513 ranks: 256 groups of 2\n", "10.2 GiB"}) {
    CHECK_THAT(script, Contains(line));
  }
  big.site.gpu_option = job::GpuOption::gres;
  CHECK_THAT(big.script(), Contains("#SBATCH --gres=gpu:8\n"));
}

TEST_CASE("submit: the node decides how many workers fit, and says so where none does") {
  Case small;
  small.site.gpus = 0;
  small.site.whole_nodes = false;
  const app::Layout layout = app::lay_out(small.job, small.site, small.options, small.cost);
  CHECK_FALSE(layout.on_gpus);
  CHECK(layout.workers == 8);
  CHECK(layout.memory_gib == 71);  // 8 x (7.75 + 0.5 + 0.5) + 1
  CHECK_THAT(small.script(), Contains("#SBATCH --mem=71G\n") && !Contains("--gpus") && !Contains("--exclusive"));
  small.site.memory_gib = 60;
  CHECK_THROWS_WITH(small.script(), Contains("does not fit") && Contains("7.8 GiB of weights") && Contains("fewer --workers"));
  small.options.workers = 3;
  CHECK_THROWS_WITH(small.script(), Contains("do not form groups of parallel.tensor_parallel = 2"));

  Case gpu;
  gpu.site.gpu_memory_gib = 8;
  CHECK_THROWS_WITH(gpu.script(), Contains("GPU; use a larger parallel.tensor_parallel"));
  gpu.site.gpu_memory_gib = 80;
  gpu.options.workers = 16;
  CHECK_THROWS_WITH(gpu.script(), Contains("16 worker ranks"));
}

TEST_CASE("submit: nothing that a user or a file wrote can leave its quotes") {
  Case odd;
  odd.paths.output = "/data/it's $(touch x) \"y\" `z`";
  odd.paths.job_file = "/data/-job; rm.yaml";
  odd.site.modules = {"open'mpi"};
  odd.site.environment = {{"A", "b c'd"}};
  const std::string script = odd.script({"judging.votes=2 # $(x)"});
  CHECK_THAT(script, Contains(R"(run_until_done '/data/-job; rm.yaml' --set 'judging.votes=2 # $(x)' --set 'output='\''/data/it'\'''\''s $(touch x) "y" `z`'\''')"));
  CHECK_THAT(script, Contains("module load 'open'\\''mpi' || exit 1\n") && Contains("export A='b c'\\''d'\n"));
  CHECK_THAT(script, Contains("#SBATCH --job-name=assize-itstouchxyz\n"));
  odd.options.partition = "a\n#SBATCH --uid=0";
  CHECK_THROWS_WITH(odd.script(), Contains("--partition is 'a?#SBATCH"));
  odd.options.partition.clear();
  odd.paths.job_file = "/data/a\nb";
  CHECK_THROWS_WITH(odd.script(), Contains("line break"));
}

TEST_CASE("submit: a chain never requeues, an array has a task a shard") {
  Case chain;
  chain.options.chain = 3;
  CHECK_THAT(chain.script(), Contains("#SBATCH --no-requeue\n") && Contains("export ASSIZE_REQUEUE=0\n"));
  Case array;
  array.options.shards = 16;
  CHECK_THAT(array.script(), Contains("#SBATCH --array=0-15\n") && Contains("\nrun_shard 16 '/home/u/job.yaml'"));
}

TEST_CASE("check --output: the run folder alone, for scripts") {
  const std::string job = support::source_dir() + "/jobs/quickstart.yaml";
  CHECK(program("check --output " + job).text == "runs/quickstart\n");
  CHECK(program("check --output " + job + " --set \"output='a # b'\"").text == "a # b\n");
}

TEST_CASE("submit --dry-run: the script of a shipped job on the example cluster") {
  const Outcome outcome = program("submit " + support::source_dir() + "/jobs/quickstart.yaml --nodes 4 --partition short --dry-run");
  CHECK(outcome.code == 0);
  for (const char* part : {"#SBATCH --nodes=4\n", "#SBATCH --partition=short\n", "4 nodes x 8 worker ranks + 1 coordinator = 33 ranks",
                           "TFLOP", "assize watch", "/slurm/relaunch.sh'"}) {
    CHECK_THAT(outcome.text, Contains(part));
  }
  CHECK_THAT(program("submit " + support::source_dir() + "/jobs/quickstart.yaml", "env -u ASSIZE_CLUSTER").text, Contains("say which cluster this is"));
  CHECK(program("submit " + support::source_dir() + "/jobs/quickstart.yaml --dry-run --nodes 0").code == 2);
}

TEST_CASE("submit --dry-run: the whole evaluation of Flex-VL-7B, with a few samples in place of each suite's own") {
  const fs::path source = support::source_dir();
  const job::JobSpec job = job::load_job(source / "jobs/flex-vl-full.yaml", {}, job::JudgePresence::optional);
  CHECK(job.suites.size() == 11);
  const TemporaryFolder folder;
  std::string suites;
  for (const fs::path& file : job.suites) {
    const std::string name = file.stem().string();
    std::ifstream in(file);
    std::string text, line;
    while (std::getline(in, line)) {
      if (line.rfind("count:", 0) == 0 || line.rfind("annotators:", 0) == 0) continue;
      text += (line.rfind("samples:", 0) == 0 ? "samples: samples.jsonl" : line) + "\n";
    }
    folder.write(name + "/suite.yaml", text);
    folder.write(name + "/samples.jsonl", stand_in_sample(text));
    fs::create_directories(folder.path() / name / "media");
    fs::copy_file(source / "configs/suites/shapes-pair/media/dev-0001.png", folder.path() / name / "media/a.png");
    suites += (suites.empty() ? "" : ",") + (folder.path() / name).string();
  }
  const Outcome outcome = program("submit " + (source / "jobs/flex-vl-full.yaml").string() + " --nodes 64 --dry-run --set judge=" +
                                  (source / "configs/judges/shapes-judge").string() + " --set suites=[" + suites + "]");
  INFO(outcome.text);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.text, Contains("64 nodes x 8 worker ranks + 1 coordinator = 513 ranks: 512 groups of 1") && Contains("TFLOP"));
}
