#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job/tree.h"

namespace assize::job {

/// Collects the errors of a file, so that all are shown at once.
class Problems {
 public:
  void add(const Place& place, const std::string& what) { lines_.push_back(place.text() + ": " + what); }
  /// Throws one Error with all lines, if there are any.
  void raise() const;
  bool empty() const { return lines_.empty(); }

 private:
  std::vector<std::string> lines_;
};

/// Reads the entries of one YAML map strictly: each `get` names a key that may stand there; `finish` reports
/// every key that no `get` asked for, with the nearest valid one. A missing key leaves the value as it is,
/// unless it is required. Wrong types and ranges are problems, never silent.
class MapReader {
 public:
  /// `tree` may be null (the map is absent: all defaults). `name` is the dotted path for messages.
  MapReader(const Tree* tree, const Place& parent, std::string name, Problems& problems);

  bool has(std::string_view key);
  void get(std::string_view key, std::string& value);
  void get(std::string_view key, bool& value);  ///< on/off, true/false, yes/no
  void get(std::string_view key, int& value, int low, int high);
  void get(std::string_view key, std::uint64_t& value);
  void get(std::string_view key, double& value, double low, double high);
  void get(std::string_view key, std::vector<std::string>& values);  ///< a sequence, or one scalar
  /// One of the named values.
  template <class Enum>
  void get(std::string_view key, Enum& value, std::initializer_list<std::pair<std::string_view, Enum>> names) {
    std::vector<std::string_view> allowed;
    for (const auto& [name, unused] : names) allowed.push_back(name);
    std::string text;
    const int index = choice(key, allowed);
    if (index >= 0) value = std::data(names)[index].second;
  }
  /// Reports a missing or empty entry.
  void require(std::string_view key);
  /// The raw entry, marked as known; null if absent.
  const Tree* take(std::string_view key);
  Place place(std::string_view key) const;  ///< of the entry, else of the map
  std::string path(std::string_view key) const;
  void finish();

 private:
  const std::string* scalar(std::string_view key, const char* expected);
  int choice(std::string_view key, const std::vector<std::string_view>& allowed);

  const Tree* tree_;
  Place parent_;
  std::string name_;
  Problems& problems_;
  std::vector<std::string> known_;
};

/// The candidate nearest to `word` by edit distance, or empty if none is close.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace assize::job
