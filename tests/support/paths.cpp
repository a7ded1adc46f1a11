#include "support/paths.h"

namespace assize::support {

std::string source_dir() { return ASSIZE_SOURCE_DIR; }

std::string binary_dir() { return ASSIZE_BINARY_DIR; }

}  // namespace assize::support
