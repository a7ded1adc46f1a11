#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace assize::results::h5 {

/// Owns an HDF5 id and closes it.
class Handle {
 public:
  Handle() = default;
  /// Throws Error "`what` failed" when `id` is negative.
  Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
    if (id < 0) throw base::Error(what + " failed (HDF5)", base::ErrorKind::failed);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  hid_t get() const { return id_; }
  /// Closes now and throws Error when that fails (a full disk shows here at the latest).
  void close(const std::string& what) {
    if (id_ >= 0 && close_(std::exchange(id_, -1)) < 0) {
      throw base::Error(what + " failed (HDF5)", base::ErrorKind::failed);
    }
  }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

/// Throws Error "`what` failed" when `code` is negative.
inline void check(herr_t code, const std::string& what) {
  if (code < 0) throw base::Error(what + " failed (HDF5)", base::ErrorKind::failed);
}

/// HDF5 prints its own error stack unless told otherwise; ours are exceptions.
inline void quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

/// File access without HDF5's own lock, which parallel file systems often lack: our files are renamed into place
/// and never change.
inline Handle file_access() {
  Handle list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "file access list");
  check(H5Pset_file_locking(list.get(), false, true), "file access list");
  return list;
}

}  // namespace assize::results::h5
