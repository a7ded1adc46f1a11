#pragma once

#include <string>

#include "results/h5.h"

namespace assize::results::h5 {

/// Opens a file for reading. Throws Error with the path when it is no readable HDF5 file.
inline Handle open_to_read(const std::string& path) {
  quiet();
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, file_access().get());
  if (file < 0) throw base::Error(path + ": is no readable HDF5 file; `assize report` makes it from the journal");
  return {file, H5Fclose, path};
}

/// Elements of a dataset; `what` names it in errors.
inline hsize_t size_of(hid_t set, const std::string& what) {
  Handle space(H5Dget_space(set), H5Sclose, what);
  const hssize_t size = H5Sget_simple_extent_npoints(space.get());
  if (size < 0) throw base::Error(what + ": has no size", base::ErrorKind::failed);
  return static_cast<hsize_t>(size);
}

/// Reads `count` elements from `begin` on into `out`, converted to `memory_type`.
inline void read_block(hid_t set, hid_t memory_type, hsize_t begin, hsize_t count, void* out, const std::string& what) {
  if (count == 0) return;
  Handle space(H5Dget_space(set), H5Sclose, what);
  check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &begin, nullptr, &count, nullptr), what);
  Handle memory(H5Screate_simple(1, &count, nullptr), H5Sclose, what);
  if (H5Dread(set, memory_type, memory.get(), space.get(), H5P_DEFAULT, out) < 0) {
    throw base::Error(what + ": cannot be read", base::ErrorKind::failed);
  }
}

}  // namespace assize::results::h5
