#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace assize::base {

/// Calls `line` with every line of a file, or member of an archive (tar_member.h), in turn: its number from 1, its text without the line break. The file may be
/// larger than memory. Throws Error naming path and reason.
void for_each_line(const std::filesystem::path& path, const std::function<void(std::uint64_t, const std::string&)>& line);

}  // namespace assize::base
