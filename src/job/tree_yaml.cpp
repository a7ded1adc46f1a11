#include <yaml-cpp/yaml.h>

#include <algorithm>

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

// The emitter leaves carriage returns and other line breaks in plain scalars, where they would read as blanks.
void emit_scalar(YAML::Emitter& out, const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (!plain) out << YAML::DoubleQuoted;
  out << text;
}

void emit(YAML::Emitter& out, const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::null: out << YAML::Null; return;
    case Tree::Kind::scalar: emit_scalar(out, tree.scalar); return;
    case Tree::Kind::sequence:
      out << YAML::BeginSeq;
      for (const Tree& item : tree.items) emit(out, item);
      out << YAML::EndSeq;
      return;
    case Tree::Kind::map:
      out << YAML::BeginMap;
      for (const TreeEntry& entry : tree.entries) {
        out << YAML::Key;
        emit_scalar(out, entry.key);
        out << YAML::Value;
        emit(out, entry.value);
      }
      out << YAML::EndMap;
      return;
  }
}

// yaml-cpp guesses an encoding from the first bytes; only UTF-8 is taken, so that a text means one thing.
std::size_t bytes_of_utf8(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(at);
  if (first < 0x80) return first == 0 ? 0 : 1;
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate_or_beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
  return overlong || surrogate_or_beyond ? 0 : size;
}

void require_utf8(std::string_view text, const std::string& file) {
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = bytes_of_utf8(text, at);
    if (size == 0) throw base::Error(file + ":" + std::to_string(line) + ": is not UTF-8 text");
    line += text[at] == '\n';
    at += size;
  }
}

}  // namespace

Tree parse_yaml(std::string_view text, const std::string& file) {
  try {
    require_utf8(text, file);
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
