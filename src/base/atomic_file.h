#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace assize::base {

/// Writes a file piece by piece so that a reader sees the old or the new contents, never a part: a temporary file beside
/// it, which `finish` puts in place. Everything throws Error (kind failed) with the path and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();  ///< without `finish`: removes the temporary file
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  /// fsync, rename, fsync of the folder.
  void finish();

 private:
  void put(std::string_view bytes);

  std::filesystem::path path_, temporary_;
  int file_ = -1;
  std::string buffer_;
};

}  // namespace assize::base
