#pragma once

#include <filesystem>
#include <string>

namespace assize::job {

/// The folder that holds configs/, jobs/ and slurm/: $ASSIZE_SHARE, else ../share/assize beside the program,
/// else the nearest folder above the program (a build tree inside the sources) or the source tree it was
/// built from. Empty if there is none.
std::filesystem::path share_folder();

/// Resolves `name` as written in `file`: absolute, else beside the file, else below share_folder(). `~/` is
/// the home folder. Returns the path beside the file if none exists.
std::filesystem::path resolve(const std::string& name, const std::filesystem::path& file);

}  // namespace assize::job
