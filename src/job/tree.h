#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace assize::job {

/// Where a value stands: a file (or "--set") with 1-based line and column.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  /// "jobs/x.yaml:3:7"
  std::string text() const;
};

struct TreeEntry;

/// A parsed YAML document with places; free of any YAML library's types.
struct Tree {
  enum class Kind { null, scalar, sequence, map };
  Kind kind = Kind::null;
  std::string scalar;
  std::vector<Tree> items;         ///< sequence
  std::vector<TreeEntry> entries;  ///< map, in file order
  Place place;

  const Tree* find(std::string_view key) const;
};

/// One entry of a map.
struct TreeEntry {
  std::string key;
  Place key_place;
  Tree value;
};

/// Parses one YAML document. Throws Error with file, line and column on broken YAML, a repeated key,
/// nesting deeper than 64 or more than a million values. Aliases are written out.
Tree parse_yaml(std::string_view text, const std::string& file);

/// Reads and parses a file of at most 16 MiB.
Tree read_yaml(const std::filesystem::path& path);

/// Applies "a.b=value" (value is YAML): replaces or adds the entry. Throws Error on bad syntax or where a
/// step of the path is not a map.
void apply_setting(Tree& tree, std::string_view setting);

/// The tree as YAML text.
std::string to_yaml(const Tree& tree);

}  // namespace assize::job
