#include "text/tokenizer_json.h"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "text/byte_level.h"
#include "text/utf8.h"

namespace assize::text {

using base::Error;
using nlohmann::json;

namespace {

constexpr std::int64_t kMaxId = (1 << 21) - 1;  // the largest vocabularies in use have 2^18 tokens
constexpr int kMaxDepth = 4;                    // of Sequences inside Sequences
constexpr std::size_t kMaxSplits = 16;
constexpr std::size_t kMaxTokenBytes = 4096;
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// A value and the place where it stands, for the errors.
struct Node {
  const json* value;  // nullptr: absent
  std::string where;

  [[noreturn]] void fail(const std::string& what) const { throw Error(where + ": " + what); }

  Node operator[](const std::string& key) const {
    if (!value->is_object()) fail("must be an object");
    const auto found = value->find(key);
    return {found == value->end() ? nullptr : &*found, where + (where.ends_with(": ") ? "" : ".") + key};
  }
  bool absent() const { return !value || value->is_null(); }
  const Node& present() const {
    if (absent()) fail("is missing");
    return *this;
  }
  std::string text() const {
    present();
    if (!value->is_string()) fail("must be a string");
    return value->get<std::string>();
  }
  std::string text_or(const std::string& otherwise) const { return absent() ? otherwise : text(); }
  bool flag_or(bool otherwise) const {
    if (absent()) return otherwise;
    if (!value->is_boolean()) fail("must be true or false");
    return value->get<bool>();
  }
  std::int32_t id() const {
    present();
    if (!value->is_number_integer()) fail("must be an integer");
    const auto number = value->get<std::int64_t>();
    if (number < 0 || number > kMaxId) {
      fail("is " + value->dump() + ", ids must lie in 0 to " + std::to_string(kMaxId));
    }
    return static_cast<std::int32_t>(number);
  }
  std::vector<Node> elements() const {
    present();
    if (!value->is_array()) fail("must be a list");
    std::vector<Node> nodes;
    nodes.reserve(value->size());
    for (std::size_t i = 0; i < value->size(); ++i)
      nodes.push_back({&(*value)[i], where + "[" + std::to_string(i) + "]"});
    return nodes;
  }
  [[noreturn]] void unsupported(const std::string& type, const char* supported) const {
    fail("is '" + type + "', only " + supported + " supported; use a judge with a byte-level BPE tokenizer");
  }
};

Normalizer read_normalizer(const Node& node, int depth) {
  if (node.absent()) return Normalizer::none;
  const std::string type = node["type"].text();
  if (type == "NFC") return Normalizer::nfc;
  if (type == "Sequence" && depth < kMaxDepth) {
    auto result = Normalizer::none;
    for (const Node& part : node["normalizers"].elements()) {
      if (read_normalizer(part, depth + 1) == Normalizer::nfc) result = Normalizer::nfc;
    }
    return result;
  }
  node["type"].unsupported(type, "NFC and Sequence are");
}

RegexSplit read_split(const Node& node) {
  const Node pattern = node["pattern"].present();
  std::string expression;
  if (const Node literal = pattern["String"]; !literal.absent()) {
    for (const char c : literal.text()) {
      if (std::string_view("\\.+*?()|[]{}^$#&-~/ ").find(c) != std::string_view::npos) expression += '\\';
      expression += c;
    }
  } else {
    expression = pattern["Regex"].text();
  }
  RegexSplit split{Regex(expression, pattern.where)};
  const Node behavior = node["behavior"];
  const std::string name = behavior.text();
  if (name == "Isolated") {
    split.behavior = SplitBehavior::isolated;
  } else if (name == "Removed") {
    split.behavior = SplitBehavior::removed;
  } else if (name == "Contiguous") {
    split.behavior = SplitBehavior::contiguous;
  } else {
    behavior.unsupported(name, "Isolated, Removed and Contiguous are");
  }
  split.invert = node["invert"].flag_or(false) ? SplitInvert::yes : SplitInvert::no;
  return split;
}

// Appends the steps of a pre-tokenizer. `byte_level` becomes true at ByteLevel, which must be the last one.
void read_pre_tokenizer(const Node& node, int depth, std::vector<SplitStep>& steps, bool& byte_level) {
  const std::string type = node.present()["type"].text();
  if (byte_level) node.fail("follows a ByteLevel pre-tokenizer, which must be the last");
  if (steps.size() >= kMaxSplits)
    node.fail("is one pre-tokenizer too many (limit " + std::to_string(kMaxSplits) + ")");
  if (type == "Sequence" && depth < kMaxDepth) {
    for (const Node& part : node["pretokenizers"].elements())
      read_pre_tokenizer(part, depth + 1, steps, byte_level);
  } else if (type == "Split") {
    steps.push_back(read_split(node));
  } else if (type == "Digits") {
    steps.push_back(DigitSplit{node["individual_digits"].flag_or(false) ? SplitBehavior::isolated
                                                                        : SplitBehavior::contiguous});
  } else if (type == "ByteLevel") {
    if (node["add_prefix_space"].flag_or(true))
      node["add_prefix_space"].fail("must be false, true is not supported");
    if (node["use_regex"].flag_or(true)) steps.push_back(RegexSplit{Regex(kGpt2Pattern, node.where)});
    byte_level = true;
  } else {
    node["type"].unsupported(type, "Split, Digits, ByteLevel and Sequence are");
  }
}

// Where TemplateProcessing puts ids around a single text; other post-processors change no ids.
void read_post_processor(const Node& node, int depth, TokenizerSpec& spec) {
  if (node.absent()) return;
  const std::string type = node["type"].text();
  if (type == "ByteLevel") return;
  if (type == "Sequence" && depth < kMaxDepth) {
    for (const Node& part : node["processors"].elements()) read_post_processor(part, depth + 1, spec);
    return;
  }
  if (type != "TemplateProcessing") {
    node["type"].unsupported(type, "ByteLevel, TemplateProcessing and Sequence are");
  }
  auto* side = &spec.before_text;
  for (const Node& item : node["single"].elements()) {
    if (!item["Sequence"].absent()) {
      side = &spec.after_text;
      continue;
    }
    const std::string token = item["SpecialToken"].present()["id"].text();
    for (const Node& id : node["special_tokens"].present()[token].present()["ids"].elements()) {
      side->push_back(id.id());
    }
  }
}

void refuse_unless(bool fine, const Node& node, const char* what) {
  if (!fine) node.fail(what);
}

void check_model_options(const Node& model) {
  const std::string type = model["type"].text_or("BPE");  // files of 2019 do not name it
  if (type != "BPE") model["type"].unsupported(type, "BPE is");
  refuse_unless(!model["byte_fallback"].flag_or(false), model["byte_fallback"],
                "must be false: byte fallback is not supported");
  refuse_unless(model["dropout"].absent() || *model["dropout"].value == 0, model["dropout"],
                "must be null: random merges are not supported");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    refuse_unless(model[key].text_or("").empty(), model[key],
                  "must be empty: affixes of subwords are not supported");
  }
}

using Vocabulary = std::unordered_map<std::string_view, std::int32_t>;

// Makes `spelling` the token of `id`.
void add_token(TokenizerSpec& spec, std::int32_t id, std::string spelling, const Node& where) {
  if (spelling.size() > kMaxTokenBytes)
    where.fail("has a token of more than " + std::to_string(kMaxTokenBytes) + " bytes");
  if (static_cast<std::size_t>(id) >= spec.tokens.size())
    spec.tokens.resize(static_cast<std::size_t>(id) + 1);
  std::string& slot = spec.tokens[static_cast<std::size_t>(id)];
  if (!slot.empty() && slot != spelling) {
    where.fail("gives id " + std::to_string(id) + " to '" + slot + "' and to '" + spelling + "'");
  }
  slot = std::move(spelling);
}

void read_vocabulary(const Node& node, TokenizerSpec& spec) {
  if (!node.present().value->is_object()) node.fail("must be an object of token: id");
  for (const auto& [spelling, value] : node.value->items()) {
    if (spelling.empty()) continue;  // never the result of a merge and never in a text
    add_token(spec, Node{&value, node.where + "['" + spelling.substr(0, 80) + "']"}.id(), spelling, node);
  }
  spec.in_vocabulary.assign(spec.tokens.size(), 0);
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) spec.in_vocabulary[id] = !spec.tokens[id].empty();
}

void read_bytes(const Node& model, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  std::int32_t unknown = -1;
  if (const std::string token = model["unk_token"].text_or(""); !token.empty()) {
    const auto found = vocabulary.find(token);
    if (found == vocabulary.end()) model["unk_token"].fail("'" + token + "' is not in model.vocab");
    unknown = found->second;
  }
  bool any = false;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary.find(spell_bytes(std::string(1, static_cast<char>(byte))));
    spec.byte_ids[byte] = found == vocabulary.end() ? unknown : found->second;
    any |= found != vocabulary.end();
    if (found == vocabulary.end() && unknown >= 0 && model["fuse_unk"].flag_or(false)) {
      model["fuse_unk"].fail(
          "must be false where model.vocab lacks bytes: fusing unknown bytes is not supported");
    }
  }
  if (!any) model["vocab"].fail("has no token for any single byte, so it is not a byte-level vocabulary");
}

void read_merges(const Node& node, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  if (!node.present().value->is_array()) node.fail("must be a list");
  spec.merges.reserve(node.value->size());
  std::string left, right;
  for (std::size_t rank = 0; rank < node.value->size(); ++rank) {
    const json& rule = (*node.value)[rank];
    const auto fail = [&](const std::string& what) {
      Node{&rule, node.where + "[" + std::to_string(rank) + "]"}.fail(what);
    };
    if (rule.is_string()) {
      const auto& both = rule.get_ref<const std::string&>();
      const std::size_t blank = both.find(' ');
      if (blank == std::string::npos || both.find(' ', blank + 1) != std::string::npos) {
        fail("must be two tokens with one blank between them");
      }
      left.assign(both, 0, blank);
      right.assign(both, blank + 1);
    } else if (rule.is_array() && rule.size() == 2 && rule[0].is_string() && rule[1].is_string()) {
      left = rule[0].get_ref<const std::string&>();
      right = rule[1].get_ref<const std::string&>();
    } else {
      fail("must be \"a b\" or [\"a\", \"b\"]");
    }
    const auto id_of = [&](const std::string& token) {
      const auto found = vocabulary.find(token);
      if (found == vocabulary.end())
        fail("needs the token '" + token.substr(0, 80) + "', which is not in model.vocab");
      return found->second;
    };
    const std::int32_t left_id = id_of(left), right_id = id_of(right);
    spec.merges.push_back({left_id, right_id, id_of(left + right)});
  }
}

void read_added_tokens(const Node& node, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  if (node.absent()) return;
  for (const Node& entry : node.elements()) {
    AddedToken token;
    token.content = entry["content"].text();
    if (token.content.empty()) continue;
    token.id = entry["id"].id();
    token.special = entry["special"].flag_or(false);
    token.single_word = entry["single_word"].flag_or(false);
    token.lstrip = entry["lstrip"].flag_or(false);
    token.rstrip = entry["rstrip"].flag_or(false);
    token.normalized = entry["normalized"].flag_or(!token.special);
    const auto known = vocabulary.find(token.content);
    if (known != vocabulary.end() && known->second != token.id) {
      entry["id"].fail("is " + std::to_string(token.id) + ", but model.vocab gives '" + token.content +
                       "' the id " + std::to_string(known->second));
    }
    add_token(spec, token.id, token.content, entry);
    spec.added.push_back(std::move(token));
  }
}

}  // namespace

TokenizerSpec parse_tokenizer_json(std::string_view text, const std::string& name) {
  json root;
  try {
    root = json::parse(text);
  } catch (const json::exception& error) {
    const auto* parse_error = dynamic_cast<const json::parse_error*>(&error);
    throw Error(name + ": is not valid JSON" +
                (parse_error ? " (broken at byte " + std::to_string(parse_error->byte) + ")" : "") +
                "; copy or download the file again");
  }
  const Node file{&root, name + ": "};
  if (!root.is_object()) throw Error(name + ": must hold a JSON object");
  TokenizerSpec spec;
  const Node model = file["model"].present();
  check_model_options(model);
  spec.normalizer = read_normalizer(file["normalizer"], 0);
  bool byte_level = false;
  read_pre_tokenizer(file["pre_tokenizer"], 0, spec.splits, byte_level);
  if (!byte_level) {
    file["pre_tokenizer"].fail(
        "has no ByteLevel at its end, only byte-level BPE is supported; use a judge with a byte-level BPE "
        "tokenizer");
  }
  spec.ignore_merges = model["ignore_merges"].flag_or(false) ? IgnoreMerges::yes : IgnoreMerges::no;
  read_vocabulary(model["vocab"], spec);
  Vocabulary vocabulary;
  vocabulary.reserve(spec.tokens.size());
  // Views of the JSON's keys, which stay where they are while spec.tokens grows.
  for (auto it = model["vocab"].value->begin(); it != model["vocab"].value->end(); ++it) {
    if (!it.key().empty()) vocabulary.emplace(it.key(), it->get<std::int32_t>());
  }
  read_bytes(model, vocabulary, spec);
  read_merges(model["merges"], vocabulary, spec);
  read_added_tokens(file["added_tokens"], vocabulary, spec);
  spec.in_vocabulary.resize(spec.tokens.size(), 0);
  read_post_processor(file["post_processor"], 0, spec);
  return spec;
}

}  // namespace assize::text
