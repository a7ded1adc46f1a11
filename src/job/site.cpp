#include "job/site.h"

#include <algorithm>
#include <cctype>
#include <regex>

#include <fmt/format.h>

#include "base/error.h"
#include "job/paths.h"
#include "job/reader.h"

namespace assize::job {

namespace fs = std::filesystem;

namespace {

fs::path find_site(const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(".yaml")) {
    if (!fs::exists(name)) throw base::Error(fmt::format("{}: there is no such cluster file", name));
    return name;
  }
  const fs::path folder = share_folder() / "configs/clusters";
  const fs::path file = folder / (name + ".yaml");
  if (fs::exists(file)) return file;
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  throw base::Error(fmt::format("there is no cluster '{}' in {} ({}); copy example.yaml to {}.yaml there, or give the path of a file",
                                name, folder.string(), fmt::join(names, ", "), name));
}

void read_node(MapReader node, Site& site) {
  node.require("cores");
  node.get("cores", site.cores, 1, 1 << 16);
  node.require("memory_gib");
  node.get("memory_gib", site.memory_gib, 0.1, 1e6);
  node.get("gpus", site.gpus, 0, 64);
  node.get("gpu_memory_gib", site.gpu_memory_gib, 0, 1e4);
  node.get("gpu_tflops", site.gpu_tflops, 0.001, 1e5);
  node.finish();
}

void read_environment(MapReader& reader, Site& site, Problems& problems) {
  static const std::regex name_value("([A-Za-z_][A-Za-z0-9_]*)=([^]*)");
  std::vector<std::string> lines;
  reader.get("environment", lines);
  for (const auto& line : lines) {
    std::smatch parts;
    if (std::regex_match(line, parts, name_value)) {
      site.environment.emplace_back(parts[1], parts[2]);
    } else {
      problems.add(reader.place("environment"), fmt::format("'{}' in 'environment' is not NAME=VALUE", line));
    }
  }
}

}  // namespace

bool is_plain_word(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_.,:;=@/+%-[]()&|*").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

int slurm_minutes(const std::string& text) {
  static const std::regex plain("([0-9]{1,7})"), clock("(?:([0-9]{1,3})-)?([0-9]{1,4}):([0-9]{2})(?::([0-9]{2}))?"),
      days("([0-9]{1,3})-([0-9]{1,2})");
  std::smatch part;
  if (std::regex_match(text, part, plain)) return std::stoi(part[1]);
  if (std::regex_match(text, part, days)) return std::stoi(part[1]) * 1440 + std::stoi(part[2]) * 60;
  if (!std::regex_match(text, part, clock)) return 0;
  const int first = std::stoi(part[2]), second = std::stoi(part[3]);
  const bool has_days = part[1].matched, has_seconds = part[4].matched;
  // Slurm reads "a:b" as minutes:seconds, but "d-a:b" and "a:b:c" as hours first.
  if (!has_days && !has_seconds) return first + (second > 0);
  return (has_days ? std::stoi(part[1]) * 1440 : 0) + first * 60 + second + (has_seconds && std::stoi(part[4]) > 0);
}

Site load_site(const std::string& name) {
  const fs::path file = find_site(name);
  const Tree tree = read_yaml(file);
  Problems problems;
  MapReader reader(&tree, tree.place, "", problems);
  Site site;
  site.name = file.stem().string();
  reader.require("node");
  read_node(MapReader(reader.take("node"), tree.place, "node", problems), site);

  const auto word = [&](const char* key, std::string& value) {
    reader.get(key, value);
    if (!value.empty() && !is_plain_word(value)) {
      problems.add(reader.place(key), fmt::format("'{}' is '{}', it must be one plain word", key, value));
    }
  };
  word("partition", site.partition);
  word("account", site.account);
  word("qos", site.qos);
  word("mpi", site.mpi);
  reader.get("options", site.options);
  for (const auto& option : site.options) {
    if (!is_plain_word(option) || option[0] != '-') {
      problems.add(reader.place("options"), fmt::format("'{}' in 'options' is not one option of sbatch without spaces or quotes", option));
    }
  }
  reader.get("gpu_option", site.gpu_option, {{"gpus-per-node", GpuOption::gpus_per_node}, {"gres", GpuOption::gres}});
  reader.get("whole_nodes", site.whole_nodes);
  std::string time = "24:00:00";
  reader.get("time_limit", time);
  site.time_limit_minutes = slurm_minutes(time);
  if (site.time_limit_minutes == 0) {
    problems.add(reader.place("time_limit"), fmt::format("'time_limit' is '{}', it must be a time of Slurm such as 12:00:00", time));
  }
  reader.get("requeue", site.requeue);
  reader.get("launcher", site.launcher, {{"srun", Launcher::srun}, {"mpirun", Launcher::mpirun}});
  reader.get("modules", site.modules);
  read_environment(reader, site, problems);
  std::string scratch;
  reader.get("scratch", scratch);
  site.scratch = scratch;
  if (!scratch.empty() && !site.scratch.is_absolute()) {
    problems.add(reader.place("scratch"), fmt::format("'scratch' is '{}', it must be an absolute path", scratch));
  }
  reader.finish();
  problems.raise();
  return site;
}

}  // namespace assize::job
