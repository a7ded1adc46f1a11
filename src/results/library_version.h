#pragma once

#include <string>

namespace assize::results {

/// Version of the HDF5 library in use, "1.10.8".
std::string hdf5_version();

}  // namespace assize::results
