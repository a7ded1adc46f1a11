#include "base/file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/tar_member.h"

namespace assize::base {

std::string read_file(const std::filesystem::path& path, std::uintmax_t limit_bytes) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) throw Error(path.string() + ": is a folder, not a file");
  const auto slice = tar_member(path);
  std::ifstream in(slice ? slice->file : path, std::ios::binary | std::ios::ate);
  if (!in) throw Error(path.string() + ": cannot be read (" + std::strerror(errno) + ")");
  const auto size = slice ? std::uintmax_t{slice->size_bytes} : static_cast<std::uintmax_t>(in.tellg());
  if (size > limit_bytes) {
    throw Error(path.string() + ": has " + std::to_string(size) + " bytes, more than the limit of " +
                std::to_string(limit_bytes));
  }
  std::string contents(size, '\0');
  in.seekg(slice ? static_cast<std::streamoff>(slice->offset_bytes) : 0);
  in.read(contents.data(), static_cast<std::streamsize>(size));
  if (!in) throw Error(path.string() + ": could not be read to its end", ErrorKind::failed);
  return contents;
}

void write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.finish();
}

}  // namespace assize::base
