#pragma once

#include "base/error.h"

namespace assize::base {

/// An Error after which this process cannot go on, whatever it is asked next: its device is lost.
class Broken : public Error {
 public:
  explicit Broken(const std::string& message) : Error(message, ErrorKind::failed) {}
};

}  // namespace assize::base
