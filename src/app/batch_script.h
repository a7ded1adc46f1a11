#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/cost.h"
#include "job/job_spec.h"
#include "job/site.h"

namespace assize::app {

/// What a user asks of `assize submit`.
struct SubmitOptions {
  int nodes = 1;               ///< of each job
  std::string cluster;         ///< name or file of a Site; empty: $ASSIZE_CLUSTER
  std::string partition;       ///< in place of the site's
  std::string account;
  std::string time;            ///< of Slurm; empty: from the estimate, within the site's limit
  int workers = 0;             ///< worker ranks a node; 0: one a GPU, or one for every eight cores
  int shards = 0;              ///< above 0: an array of so many jobs, each with its share of the samples
  int chain = 0;               ///< above 0: so many jobs, each after the one before
  bool dry_run = false;
};

/// How a job is laid out on the nodes of a site.
struct Layout {
  bool on_gpus = false;
  int workers = 0;             ///< worker ranks a node
  int ranks = 0;               ///< with the coordinator
  int groups = 0;
  int cores_per_worker = 1;
  double rank_gib = 0;         ///< memory that a worker needs: of its GPU, or of the node
  double memory_gib = 0;       ///< asked for on each node; 0: all
  double hours = 0;            ///< estimate, of each job; 0: unknown
  int time_limit_minutes = 0;
};

/// Works the layout out. Throws Error, with the arithmetic, where the judge fits no worker or no group fits a node.
Layout lay_out(const job::JobSpec& job, const job::Site& site, const SubmitOptions& options, const Cost& cost);

/// Where a script finds things; absolute paths, any characters but line breaks.
struct ScriptPaths {
  std::filesystem::path program;
  std::filesystem::path slurm_folder;  ///< holds relaunch.sh
  std::filesystem::path job_file;
  std::filesystem::path output;        ///< of the run, or of what its shards are merged into
};

/// The batch script: options of sbatch as plain words only, everything else quoted for the shell. Throws Error where
/// an option is not a plain word or a path or setting holds a line break.
std::string batch_script(const job::JobSpec& job, const job::Site& site, const SubmitOptions& options, const Cost& cost,
                         const Layout& layout, const ScriptPaths& paths, const std::vector<std::string>& settings);

/// "assize-" and what of the name is letters, digits, '.', '_' and '-'.
std::string slurm_job_name(const std::string& run_name);

/// `text` as one word of a shell.
std::string shell_quoted(const std::string& text);

/// `text` as a YAML value that is this text.
std::string yaml_quoted(const std::string& text);

}  // namespace assize::app
