#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace assize::base {

/// The whole file, or member of an archive (tar_member.h), as bytes. Throws Error naming path and reason; refuses > `limit_bytes`.
std::string read_file(const std::filesystem::path& path, std::uintmax_t limit_bytes = std::uintmax_t{1} << 32);

/// Writes `path` so that a reader sees the old or the new contents, never a part: temporary file beside it,
/// fsync, rename, fsync of the folder. Throws Error (kind failed) with the path and the reason.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);

}  // namespace assize::base
