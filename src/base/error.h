#pragma once

#include <stdexcept>
#include <string>

namespace assize::base {

/// What kind of failure an Error is; decides the exit code of the program.
enum class ErrorKind {
  usage,   ///< bad command line, job, suite or model: exit code 2
  failed,  ///< the run could not go on: exit code 1
};

/// An error for the user: one line that says what, where (file:line, key, id) and what to do next.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorKind kind = ErrorKind::usage)
      : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace assize::base
