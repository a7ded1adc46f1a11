#include <yaml-cpp/yaml.h>

#include "base/error.h"
#include "job/tree.h"

namespace assize::job {

namespace {

Place place_of(const YAML::Mark& mark, const std::string& file) { return {file, mark.line + 1, mark.column + 1}; }

// Aliases are written out; the limit keeps a small file from standing for a huge tree.
constexpr int kMaxNodes = 1 << 20;

Tree convert(const YAML::Node& node, const std::string& file, int depth, int& nodes) {
  Tree tree;
  tree.place = place_of(node.Mark(), file);
  if (++nodes > kMaxNodes) throw base::Error(tree.place.text() + ": more than 1048576 values in one document");
  if (depth > 64) throw base::Error(tree.place.text() + ": nested deeper than 64 levels");
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      return tree;
    case YAML::NodeType::Scalar:
      tree.kind = Tree::Kind::scalar;
      tree.scalar = node.Scalar();
      return tree;
    case YAML::NodeType::Sequence:
      tree.kind = Tree::Kind::sequence;
      for (const auto& item : node) tree.items.push_back(convert(item, file, depth + 1, nodes));
      return tree;
    case YAML::NodeType::Map:
      tree.kind = Tree::Kind::map;
      for (const auto& entry : node) {
        const Place key_place = place_of(entry.first.Mark(), file);
        if (!entry.first.IsScalar()) throw base::Error(key_place.text() + ": a key must be a plain word");
        if (tree.find(entry.first.Scalar())) {
          throw base::Error(key_place.text() + ": '" + entry.first.Scalar() + "' stands here twice");
        }
        tree.entries.push_back({entry.first.Scalar(), key_place, convert(entry.second, file, depth + 1, nodes)});
      }
      return tree;
  }
  return tree;
}

void emit(YAML::Emitter& out, const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::null: out << YAML::Null; return;
    case Tree::Kind::scalar: out << tree.scalar; return;
    case Tree::Kind::sequence:
      out << YAML::BeginSeq;
      for (const Tree& item : tree.items) emit(out, item);
      out << YAML::EndSeq;
      return;
    case Tree::Kind::map:
      out << YAML::BeginMap;
      for (const TreeEntry& entry : tree.entries) {
        out << YAML::Key << entry.key << YAML::Value;
        emit(out, entry.value);
      }
      out << YAML::EndMap;
      return;
  }
}

}  // namespace

Tree parse_yaml(std::string_view text, const std::string& file) {
  try {
    int nodes = 0;
    return convert(YAML::Load(std::string(text)), file, 0, nodes);
  } catch (const YAML::Exception& error) {
    throw base::Error(place_of(error.mark, file).text() + ": broken YAML: " + error.msg);
  }
}

std::string to_yaml(const Tree& tree) {
  YAML::Emitter out;
  emit(out, tree);
  return std::string(out.c_str()) + "\n";
}

}  // namespace assize::job
