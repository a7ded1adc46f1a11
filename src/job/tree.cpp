#include "job/tree.h"

#include "base/error.h"
#include "base/file.h"

namespace assize::job {

std::string Place::text() const {
  if (line <= 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

const Tree* Tree::find(std::string_view key) const {
  for (const TreeEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

Tree read_yaml(const std::filesystem::path& path) {
  return parse_yaml(base::read_file(path, 16u << 20), path.string());
}

void apply_setting(Tree& tree, std::string_view setting) {
  const auto equals = setting.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw base::Error("--set " + std::string(setting) + ": write it as key=value, for example --set judging.votes=5");
  }
  const std::string place = "--set " + std::string(setting.substr(0, equals));
  Tree value = parse_yaml(setting.substr(equals + 1), place);
  Tree* node = &tree;
  std::string_view path = setting.substr(0, equals);
  while (true) {
    if (node->kind == Tree::Kind::null) node->kind = Tree::Kind::map;
    if (node->kind != Tree::Kind::map) {
      throw base::Error(place + ": '" + std::string(path) + "' has no place there, the value before it is not a map");
    }
    const auto dot = path.find('.');
    const std::string key(path.substr(0, dot));
    Tree* next = nullptr;
    for (TreeEntry& entry : node->entries) {
      if (entry.key == key) next = &entry.value;
    }
    if (!next) {
      node->entries.push_back({key, {place, 0, 0}, {}});
      next = &node->entries.back().value;
      next->place = {place, 0, 0};
    }
    if (dot == std::string_view::npos) {
      *next = std::move(value);
      return;
    }
    node = next;
    path = path.substr(dot + 1);
  }
}

}  // namespace assize::job
