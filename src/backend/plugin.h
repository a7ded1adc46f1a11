#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"

namespace assize::backend {

/// What a plug-in library exports under the name `assize_backend_plugin`. It is built from the same sources as
/// the program and checked by `version`; errors come as base::Error.
struct Plugin {
  const char* version;
  /// Throws Error, with the driver's words, if no GPU can be used. Returns the number that this process sees.
  int (*count_gpus)();
  std::unique_ptr<Backend> (*make)(comm::Comm& group, int gpu);
};

/// Raised with every change of Plugin, Backend or Comm.
inline constexpr const char* kPluginVersion = "assize backend plug-in 1";
inline constexpr const char* kPluginSymbol = "assize_backend_plugin";

}  // namespace assize::backend
