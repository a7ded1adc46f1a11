#include "job/paths.h"

#include <cstdlib>

namespace assize::job {

namespace fs = std::filesystem;

fs::path share_folder() {
  if (const char* set = std::getenv("ASSIZE_SHARE"); set && *set) return set;
  std::error_code code;
  const fs::path program = fs::read_symlink("/proc/self/exe", code);
  if (!code) {
    const fs::path installed = program.parent_path().parent_path() / "share/assize";
    if (fs::is_directory(installed / "configs", code)) return installed;
    for (fs::path at = program.parent_path(); at.has_relative_path(); at = at.parent_path()) {
      if (fs::is_directory(at / "configs/prompts", code) && fs::is_directory(at / "jobs", code)) return at;
    }
  }
  if (fs::is_directory(fs::path(ASSIZE_SOURCE_FOLDER) / "configs", code)) return ASSIZE_SOURCE_FOLDER;
  return {};
}

fs::path resolve(const std::string& name, const fs::path& file) {
  fs::path path = name;
  if (name.rfind("~/", 0) == 0) {
    if (const char* home = std::getenv("HOME"); home && *home) path = fs::path(home) / name.substr(2);
  }
  if (path.is_absolute()) return path;
  const fs::path beside = fs::absolute(file).parent_path() / path;
  std::error_code code;
  if (fs::exists(beside, code)) return beside.lexically_normal();
  if (const fs::path share = share_folder(); !share.empty() && fs::exists(share / path, code)) {
    return (share / path).lexically_normal();
  }
  return beside.lexically_normal();
}

}  // namespace assize::job
