#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>

namespace assize::report {

/// The script of a page runs by this nonce only; nothing of a model or a data set can carry it, because all of it
/// is escaped.
inline constexpr const char* kNonce = "assize-report";

/// HTML that is being written.
class Page {
 public:
  template <class... T>
  void add(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(std::back_inserter(out), format, std::forward<T>(values)...);
  }
  std::string out;
};

}  // namespace assize::report
