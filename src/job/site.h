#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace assize::job {

/// Which program starts the ranks.
enum class Launcher { srun, mpirun };

/// How a site wants GPUs to be asked for.
enum class GpuOption { gpus_per_node, gres };

/// What differs between clusters (configs/clusters/NAME.yaml).
struct Site {
  std::string name;             ///< of the file
  int cores = 0;                ///< of a node
  double memory_gib = 0;        ///< of a node
  int gpus = 0;                 ///< of a node
  double gpu_memory_gib = 0;    ///< of a GPU
  double gpu_tflops = 100;      ///< sustained by a GPU, for estimates
  std::string partition, account, qos;  ///< empty: the site's default
  std::vector<std::string> options;     ///< further options of sbatch
  GpuOption gpu_option = GpuOption::gpus_per_node;
  bool whole_nodes = true;
  int time_limit_minutes = 24 * 60;
  bool requeue = true;
  Launcher launcher = Launcher::srun;
  std::string mpi = "pmix";
  std::vector<std::string> modules;
  std::vector<std::pair<std::string, std::string>> environment;
  std::filesystem::path scratch;  ///< relative outputs go there; empty: where the user is
};

/// Reads `name`: a path to a YAML file, or the name of one in configs/clusters/ of share_folder(). Throws Error with
/// every problem and its place, or with the names there are. Every word that goes into an option of sbatch is one word
/// without quotes, spaces or control characters.
Site load_site(const std::string& name);

/// Minutes of a Slurm time: "90", "12:30:00", "2-00:00:00" (minutes; hours:minutes:seconds; days-...). 0 if it is none.
int slurm_minutes(const std::string& text);

/// True if `text` can stand in an option of sbatch as it is: letters, digits and _.,:;=@/+%-[]()&|* only, not empty.
bool is_plain_word(const std::string& text);

}  // namespace assize::job
