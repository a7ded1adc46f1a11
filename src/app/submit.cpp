#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include "app/batch_script.h"
#include "app/commands.h"
#include "base/error.h"
#include "job/paths.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

/// Hands a script to sbatch; the id of the job. `after`: id of the job to wait for, or empty.
std::string submit_script(const fs::path& script, const std::string& after) {
  const std::string command = fmt::format("sbatch --parsable {} {}", after.empty() ? "" : "--dependency=afterany:" + after,
                                          shell_quoted(script.string()));
  std::string answer;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) throw base::Error("sbatch cannot be started", base::ErrorKind::failed);
  char buffer[256];
  while (const std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) answer.append(buffer, n);
  const int status = pclose(pipe);
  if (status != 0) {
    throw base::Error("sbatch refused the job (its words are above); --dry-run shows the script", base::ErrorKind::failed);
  }
  return answer.substr(0, answer.find_first_of(";\n"));
}

/// A script in a file of its own for as long as sbatch reads it.
class TemporaryScript {
 public:
  explicit TemporaryScript(const std::string& text) {
    std::string name = (fs::temp_directory_path() / "assize-submit-XXXXXX").string();
    const int fd = mkstemp(name.data());
    if (fd < 0) throw base::Error(fmt::format("{}: cannot be written", name), base::ErrorKind::failed);
    close(fd);
    path_ = name;
    std::ofstream(path_) << text;
  }
  ~TemporaryScript() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  TemporaryScript(const TemporaryScript&) = delete;
  TemporaryScript& operator=(const TemporaryScript&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

job::Site choose_site(const SubmitOptions& options) {
  const char* variable = std::getenv("ASSIZE_CLUSTER");
  std::string name = options.cluster.empty() && variable ? variable : options.cluster;
  if (name.empty()) {
    if (!options.dry_run) {
      throw base::Error("say which cluster this is with --cluster NAME or ASSIZE_CLUSTER: a file configs/clusters/NAME.yaml, made "
                        "from example.yaml there");
    }
    name = "example";
    fmt::print(stderr, "note: without --cluster the values are those of configs/clusters/example.yaml, an invented site\n");
  }
  return job::load_site(name);
}

void print_what_next(const std::string& id, const SubmitOptions& options, const ScriptPaths& paths, const std::string& log) {
  const std::string output = shell_quoted(paths.output.string());
  const std::string runs = options.shards ? shell_quoted(paths.output.string() + ".shards") + "/*" : output;
  fmt::print(stderr, "watch:   assize watch {}\n", runs);
  fmt::print(stderr, "log:     tail -f {}\n", log);
  if (!id.empty()) {
    fmt::print(stderr, "queue:   squeue --job={}\nstop:    scancel {} (what is judged stays; submit again to go on)\n", id, id);
  }
  if (options.shards) fmt::print(stderr, "then:    assize merge {} {}\n", output, runs);
}

}  // namespace

int submit(const std::string& job_file, const std::vector<std::string>& settings, const SubmitOptions& options) {
  if (options.chain && options.shards) throw base::Error("--chain and --shards cannot be used together; submit the array again to go on");
  const auto bound = [](const char* option, int value, int low, int high) {
    if (value < low || value > high) throw base::Error(fmt::format("{} is {}, it must be from {} to {}", option, value, low, high));
  };
  bound("--nodes", options.nodes, 1, 100000);
  bound("--workers", options.workers, 0, 4096);
  bound("--shards", options.shards, 0, 100000);
  bound("--chain", options.chain, 0, 1000);
  const job::Site site = choose_site(options);
  const Plan plan = make_plan(job::load_job(job_file, settings));
  const Cost cost = estimate_cost(plan);
  const Layout layout = lay_out(plan.job, site, options, cost);

  ScriptPaths paths;
  paths.program = fs::read_symlink("/proc/self/exe");
  paths.slurm_folder = job::share_folder() / "slurm";
  paths.job_file = fs::absolute(job_file);
  paths.output = site.scratch.empty() ? fs::absolute(plan.job.output) : site.scratch / plan.job.output;
  paths.output = paths.output.lexically_normal();
  if (!fs::exists(paths.slurm_folder / "relaunch.sh")) {
    throw base::Error(fmt::format("{}: is not there; set ASSIZE_SHARE to the folder that holds slurm/", (paths.slurm_folder / "relaunch.sh").string()));
  }
  const std::string script = batch_script(plan.job, site, options, cost, layout, paths, settings);
  const std::string log = slurm_job_name(paths.output.filename().string()) + "-";
  if (options.dry_run) {
    fmt::print("{}", script);
    std::fflush(stdout);
    if (options.chain) fmt::print(stderr, "chain:   this script {} times, each with --dependency=afterany:ID of the one before\n", options.chain);
    print_what_next("", options, paths, log + (options.shards ? "ID_SHARD.out" : "ID.out"));
    return 0;
  }
  const TemporaryScript file(script);
  std::string id;
  for (int link = 0; link < std::max(1, options.chain); ++link) {
    id = submit_script(file.path(), id);
    // What a later link finds done it leaves alone; sbatch hands the environment on.
    setenv("ASSIZE_SKIP_DONE", "1", 1);
    fmt::print("{}\n", id);
    std::fflush(stdout);
  }
  print_what_next(id, options, paths, log + (options.shards ? id + "_SHARD.out" : id + ".out"));
  return 0;
}

}  // namespace assize::app
