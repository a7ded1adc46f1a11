#include "base/lines.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/tar_member.h"

namespace assize::base {

void for_each_line(const std::filesystem::path& path, const std::function<void(std::uint64_t, const std::string&)>& line) {
  const auto slice = tar_member(path);
  std::ifstream in(slice ? slice->file : path, std::ios::binary | std::ios::ate);
  std::error_code code;
  if (!in || std::filesystem::is_directory(slice ? slice->file : path, code)) {
    throw Error(path.string() + ": cannot be read (" + (in ? "it is a folder" : std::strerror(errno)) + ")");
  }
  std::uintmax_t left = slice ? slice->size_bytes : static_cast<std::uintmax_t>(in.tellg());
  in.seekg(slice ? static_cast<std::streamoff>(slice->offset_bytes) : 0);
  std::string text;
  for (std::uint64_t number = 1; left > 0; ++number) {
    if (!std::getline(in, text)) throw Error(path.string() + ": could not be read to its end", ErrorKind::failed);
    if (text.size() > left) text.resize(left);  // what follows is the archive's
    left -= std::min<std::uintmax_t>(left, text.size() + 1);
    line(number, text);
  }
}

}  // namespace assize::base
