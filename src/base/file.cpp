#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

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

namespace {
[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw Error(path.string() + ": " + what + " failed (" + std::strerror(errno) + ")", ErrorKind::failed);
}
}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  const std::filesystem::path temporary = path.string() + ".tmp";
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(temporary, "open");
  std::size_t done = 0;
  while (done < contents.size()) {
    const ssize_t n = ::write(fd, contents.data() + done, contents.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      ::close(fd);
      fail(temporary, "write");
    }
    done += static_cast<std::size_t>(n);
  }
  if (::fsync(fd) != 0) {
    ::close(fd);
    fail(temporary, "fsync");
  }
  ::close(fd);
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(path, "rename");
  const auto folder = path.parent_path().empty() ? std::filesystem::path(".") : path.parent_path();
  const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    ::fsync(dir);
    ::close(dir);
  }
}

}  // namespace assize::base
