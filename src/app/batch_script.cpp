#include "app/batch_script.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include <fmt/format.h>

#include "app/progress_display.h"
#include "app/terminal_text.h"
#include "base/error.h"

namespace assize::app {

namespace {

/// What a worker needs beside weights and KV cache: code, activations, pictures in work.
constexpr double kCpuWorkingGib = 0.5, kGpuWorkingGib = 2;
/// Host memory of a worker whose judge is on a GPU.
constexpr double kGpuHostGib = 8;
/// Cores of a worker rank on the CPU, where nothing else is said.
constexpr int kCoresPerWorker = 8;
/// An estimate may be wrong by this factor before the time limit cuts a run in two.
constexpr double kTimeReserve = 2;
constexpr int kShortestMinutes = 30;

int workers_of(const job::JobSpec& job, const job::Site& site, const SubmitOptions& options, bool on_gpus) {
  const int ranks = job.parallel.tensor_parallel, most = on_gpus ? site.gpus : site.cores;
  int workers = options.workers;
  if (workers == 0 && on_gpus) workers = site.gpus / ranks * ranks;
  if (workers == 0) {
    const int cores = job.parallel.threads > 0 ? job.parallel.threads : std::min(kCoresPerWorker, std::max(1, site.cores / ranks));
    workers = site.cores / cores / ranks * ranks;
  }
  if (workers < 1 || workers % ranks != 0 || workers > most) {
    throw base::Error(fmt::format("cluster {}: {} worker ranks a node do not form groups of parallel.tensor_parallel = {} on {} {}; "
                                  "choose --workers or another parallel.tensor_parallel",
                                  site.name, workers, ranks, most, on_gpus ? "GPUs" : "cores"));
  }
  return workers;
}

std::string slurm_time(int minutes) {
  return fmt::format("{}-{:02}:{:02}:00", minutes / 1440, minutes % 1440 / 60, minutes % 60);
}

/// `text` in single quotes, each of its own written as `inner`.
std::string quoted(const std::string& text, const char* inner) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string(inner) : std::string(1, c);
  return out + "'";
}

std::string checked_word(const char* option, const std::string& value) {
  if (!job::is_plain_word(value)) throw base::Error(fmt::format("{} is '{}', it must be one plain word", option, harmless(value)));
  return value;
}

void refuse_line_breaks(const char* what, const std::string& text) {
  if (text.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
    throw base::Error(fmt::format("{} '{}' holds a line break, which a batch script cannot pass on", what, harmless(text)));
  }
}

}  // namespace

std::string shell_quoted(const std::string& text) { return quoted(text, "'\\''"); }

std::string yaml_quoted(const std::string& text) { return quoted(text, "''"); }

std::string slurm_job_name(const std::string& run_name) {
  std::string name = "assize-";
  for (const char c : run_name) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-') name += c;
  }
  return name;
}

Layout lay_out(const job::JobSpec& job, const job::Site& site, const SubmitOptions& options, const Cost& cost) {
  Layout layout;
  layout.on_gpus = site.gpus > 0 && job.parallel.device != job::Device::cpu &&
                   job.parallel.device != job::Device::cuda_emulated;
  layout.workers = workers_of(job, site, options, layout.on_gpus);
  layout.ranks = options.nodes * layout.workers + 1;
  layout.groups = options.nodes * layout.workers / job.parallel.tensor_parallel;
  layout.cores_per_worker = job.parallel.threads > 0 && !layout.on_gpus ? job.parallel.threads : std::max(1, site.cores / layout.workers);
  layout.rank_gib = (cost.weight_bytes + cost.kv_bytes) / kGibibyte + (layout.on_gpus ? kGpuWorkingGib : kCpuWorkingGib);
  const double there = layout.on_gpus ? site.gpu_memory_gib : site.memory_gib / layout.workers;
  if (there > 0 && layout.rank_gib > there) {
    throw base::Error(fmt::format(
        "cluster {}: the judge does not fit: {:.1f} GiB of weights + {:.1f} GiB of KV cache for one call + {} GiB to work with are "
        "more than the {:.1f} GiB of a {}; use a larger parallel.tensor_parallel{} or a smaller sampling.max_new_tokens",
        site.name, cost.weight_bytes / kGibibyte, cost.kv_bytes / kGibibyte, layout.on_gpus ? kGpuWorkingGib : kCpuWorkingGib, there,
        layout.on_gpus ? "GPU" : "worker", layout.on_gpus ? "" : ", fewer --workers"));
  }
  if (!site.whole_nodes) {
    const double wanted = std::ceil((layout.on_gpus ? kGpuHostGib : layout.rank_gib) * layout.workers + 1);
    layout.memory_gib = std::max(1.0, std::min(wanted, std::floor(site.memory_gib)));
  }
  const double rate = options.nodes * (layout.on_gpus ? layout.workers * site.gpu_tflops * 1e12
                                                      : layout.workers * layout.cores_per_worker * kFlopPerSecondPerCore);
  layout.hours = cost.flop / std::max(1, options.shards) / rate / 3600;
  const double minutes = std::ceil(layout.hours * 60 * kTimeReserve / 15) * 15;
  layout.time_limit_minutes = std::min(site.time_limit_minutes, std::max(kShortestMinutes, static_cast<int>(std::min(minutes, 1e6))));
  if (cost.flop == 0) layout.time_limit_minutes = site.time_limit_minutes;
  if (!options.time.empty()) {
    layout.time_limit_minutes = job::slurm_minutes(options.time);
    if (layout.time_limit_minutes == 0) {
      throw base::Error(fmt::format("--time is '{}', it must be a time of Slurm such as 12:00:00", harmless(options.time)));
    }
  }
  return layout;
}

std::string batch_script(const job::JobSpec& job, const job::Site& site, const SubmitOptions& options, const Cost& cost,
                         const Layout& layout, const ScriptPaths& paths, const std::vector<std::string>& settings) {
  for (const auto* path : {&paths.program, &paths.slurm_folder, &paths.job_file, &paths.output}) refuse_line_breaks("the path", path->string());
  for (const auto& setting : settings) refuse_line_breaks("--set", setting);
  const bool requeue = site.requeue && options.chain == 0;
  const std::string device = layout.on_gpus ? "GPU" : fmt::format("worker of {} cores", layout.cores_per_worker);
  std::string text = "#!/bin/bash\n";
  const auto note = [&text](const std::string& line) { text += "# " + harmless(line) + "\n"; };
  note(fmt::format("Written by assize submit for {} on cluster {}.", paths.job_file.string(), site.name));
  note(fmt::format("{} calls by judge {}{}", cost.calls, job.judge.id,
                   options.shards ? fmt::format(", shared out to {} jobs", options.shards) : ""));
  note(fmt::format("{} node{} x {} worker ranks + 1 coordinator = {} ranks: {} groups of {}", options.nodes, options.nodes == 1 ? "" : "s",
                   layout.workers, layout.ranks, layout.groups, job.parallel.tensor_parallel));
  if (cost.flop > 0) {
    note(fmt::format("a worker needs {:.1f} GiB: {:.1f} of weights, {:.1f} of KV cache for one call; more cache makes it faster",
                     layout.rank_gib, cost.weight_bytes / kGibibyte, cost.kv_bytes / kGibibyte));
    note(fmt::format("about {} without loading the judge ({:.3g} TFLOP at {:.3g} TFLOP/s a {}, an assumption)", duration_text(std::max(60.0, layout.hours * 3600)),
                     cost.flop / 1e12 / std::max(1, options.shards),
                     layout.on_gpus ? site.gpu_tflops : layout.cores_per_worker * kFlopPerSecondPerCore / 1e12, device));
  }

  const std::string name = slurm_job_name(paths.output.filename().string());
  const auto option = [&text](const std::string& words) { text += "#SBATCH " + words + "\n"; };
  option("--job-name=" + name);
  option(fmt::format("--nodes={}", options.nodes));
  option(fmt::format("--ntasks-per-node={}", layout.workers));
  option(fmt::format("--cpus-per-task={}", layout.cores_per_worker));
  if (layout.on_gpus) {
    option((site.gpu_option == job::GpuOption::gres ? "--gres=gpu:" : "--gpus-per-node=") + std::to_string(layout.workers));
  }
  if (site.whole_nodes) option("--exclusive");
  option(site.whole_nodes ? std::string("--mem=0") : fmt::format("--mem={}G", static_cast<long>(layout.memory_gib)));
  option("--time=" + slurm_time(layout.time_limit_minutes));
  const std::string partition = options.partition.empty() ? site.partition : options.partition;
  const std::string account = options.account.empty() ? site.account : options.account;
  if (!partition.empty()) option("--partition=" + checked_word("--partition", partition));
  if (!account.empty()) option("--account=" + checked_word("--account", account));
  if (!site.qos.empty()) option("--qos=" + site.qos);
  for (const auto& further : site.options) option(further);
  if (options.shards) option(fmt::format("--array=0-{}", options.shards - 1));
  option(fmt::format("--output={}-{}.out", name, options.shards ? "%A_%a" : "%j"));
  option("--open-mode=append");
  option(requeue ? "--requeue" : "--no-requeue");
  // Running calls may end, then the journal is written; after that a minute is left.
  option(fmt::format("--signal=B:USR1@{}", job.limits.drain_seconds + 60));

  for (const auto& module : site.modules) text += "module load " + shell_quoted(module) + " || exit 1\n";
  for (const auto& [variable, value] : site.environment) text += fmt::format("export {}={}\n", variable, shell_quoted(value));
  const auto set = [&text](const char* variable, const std::string& value) { text += fmt::format("export {}={}\n", variable, value); };
  set("ASSIZE", shell_quoted(paths.program.string()));
  set("ASSIZE_WORKERS", std::to_string(layout.workers));
  set("ASSIZE_LAUNCHER", site.launcher == job::Launcher::srun ? "srun" : "mpirun");
  if (site.launcher == job::Launcher::srun) set("ASSIZE_MPI", site.mpi);
  set("ASSIZE_REQUEUE", requeue ? "1" : "0");
  if (options.chain) set("ASSIZE_SKIP_DONE", "${ASSIZE_SKIP_DONE:-0}");
  text += ". " + shell_quoted((paths.slurm_folder / "relaunch.sh").string()) + " || exit 2\n";
  text += options.shards ? fmt::format("run_shard {} ", options.shards) : std::string("run_until_done ");
  text += shell_quoted(paths.job_file.string());
  std::vector<std::string> all = settings;
  all.push_back("output=" + yaml_quoted(paths.output.string()));
  for (const auto& setting : all) text += " --set " + shell_quoted(setting);
  return text + "\n";
}

}  // namespace assize::app
