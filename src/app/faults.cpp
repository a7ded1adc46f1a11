#include "app/faults.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include <nlohmann/json.hpp>

namespace assize::app {

namespace {
constexpr std::size_t kLaunchesUntilLeftOut = 2;
}

void record_fault(const std::filesystem::path& run_folder, const std::string& group, const std::string& why) {
  std::string launch;
  std::ifstream lock(run_folder / "lock");
  std::getline(lock, launch);
  const nlohmann::ordered_json event = {{"launch", launch}, {"group", group}, {"why", why}};
  const std::string line = event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const int fd = ::open((run_folder / "faults.jsonl").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return;
  // One write, so that lines of several ranks do not mix.
  [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
  ::close(fd);
}

std::set<std::string> groups_to_leave_out(const std::filesystem::path& run_folder) {
  std::map<std::string, std::set<std::string>> launches;
  std::ifstream in(run_folder / "faults.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto event = nlohmann::json::parse(line, nullptr, false);
    if (!event.is_object() || !event.contains("group") || !event.contains("launch")) continue;
    if (!event["group"].is_string() || !event["launch"].is_string()) continue;
    launches[event["group"].get<std::string>()].insert(event["launch"].get<std::string>());
  }
  std::set<std::string> groups;
  for (const auto& [group, ended] : launches) {
    if (ended.size() >= kLaunchesUntilLeftOut) groups.insert(group);
  }
  return groups;
}

}  // namespace assize::app
