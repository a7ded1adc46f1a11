#pragma once

#include <string>

namespace assize::support {

/// Folder of the sources, without a slash at its end.
std::string source_dir();

/// Build folder: the program is in it.
std::string binary_dir();

}  // namespace assize::support
