#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace assize::base {

/// A part of a file.
struct FileSlice {
  std::filesystem::path file;
  std::uint64_t offset_bytes = 0;
  std::uint64_t size_bytes = 0;
};

/// Where a file lies that is named as one in an archive: "shard.tar/MEMBER", the archive being an uncompressed tar file. Its
/// index, "shard.tar.index", has a line "OFFSET SIZE MEMBER" for every member. Empty where no part of the path is such an
/// archive. An index is read once and kept. Throws Error where the archive has no index, the index is broken or beyond the
/// archive's end, or there is no such member. Safe to call from several threads.
std::optional<FileSlice> tar_member(const std::filesystem::path& path);

/// Whether there is a file of that name, on disk or in an archive. Throws Error as tar_member does for a broken index.
bool file_exists(const std::filesystem::path& path);

}  // namespace assize::base
