#include "verdict/pattern.h"

#include <memory>
#include <string>

#include "base/error.h"

namespace assize::verdict {
namespace {

using Op = Pattern::Instruction::Op;
using Bytes = std::bitset<256>;

constexpr std::size_t kMaxProgram = 2000;
constexpr int kMaxDepth = 50;
constexpr int kMaxRepeat = 1000;
constexpr std::size_t kSlots = 4;  // whole match and first group
constexpr std::size_t kUnset = static_cast<std::size_t>(-1);

struct Node {
  enum class Kind { empty, set, sequence, choice, repeat, group, edge };
  Kind kind = Kind::empty;
  Bytes set;
  std::vector<std::unique_ptr<Node>> parts;
  int low = 0, high = -1;  // repeat; -1 = no limit
  bool greedy = true;
  int slot = -1;  // group: index of the capturing group
  Op edge = Op::begin;
};

using NodePtr = std::unique_ptr<Node>;

NodePtr make(Node::Kind kind) {
  auto node = std::make_unique<Node>();
  node->kind = kind;
  return node;
}

Bytes range(unsigned char low, unsigned char high) {
  Bytes set;
  for (int c = low; c <= high; ++c) set.set(static_cast<std::size_t>(c));
  return set;
}

Bytes digits() { return range('0', '9'); }
Bytes words() { return range('a', 'z') | range('A', 'Z') | digits() | range('_', '_'); }
Bytes blanks() { return range('\t', '\r') | range(' ', ' '); }

bool is_word(unsigned char c) { return words().test(c); }

}  // namespace

/// Parses an expression and emits its program.
class PatternCompiler {
 public:
  PatternCompiler(std::string_view text, Pattern& out) : text_(text), out_(out) {}

  void compile() {
    if (text_.substr(0, 4) == "(?i)") {
      fold_ = true;
      at_ = 4;
    }
    const NodePtr root = choice(0);
    if (at_ < text_.size()) fail("unexpected ')'");
    emit({Op::save, 0, 0});
    emit(*root);
    emit({Op::save, 1, 0});
    emit({Op::match, 0, 0});
    find_first_bytes();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw base::Error("verdict pattern '" + std::string(text_) + "', position " + std::to_string(at_ + 1) +
                      ": " + what);
  }
  bool more() const { return at_ < text_.size(); }
  char peek() const { return text_[at_]; }
  bool accept(char c) {
    if (!more() || peek() != c) return false;
    ++at_;
    return true;
  }

  NodePtr choice(int depth) {
    if (depth > kMaxDepth) fail("groups are nested too deeply");
    auto first = sequence(depth);
    if (!more() || peek() != '|') return first;
    auto node = make(Node::Kind::choice);
    node->parts.push_back(std::move(first));
    while (accept('|')) node->parts.push_back(sequence(depth));
    return node;
  }

  NodePtr sequence(int depth) {
    auto node = make(Node::Kind::sequence);
    while (more() && peek() != '|' && peek() != ')') node->parts.push_back(repeated(depth));
    return node;
  }

  NodePtr repeated(int depth) {
    auto node = atom(depth);
    while (more()) {
      int low = 0, high = -1;
      if (accept('*')) {
      } else if (accept('+')) {
        low = 1;
      } else if (accept('?')) {
        high = 1;
      } else if (peek() == '{') {
        ++at_;
        low = number();
        high = low;
        if (accept(',')) high = more() && peek() == '}' ? -1 : number();
        if (!accept('}')) fail("expected '}'");
        if (high >= 0 && high < low) fail("the counts in { } are out of order");
      } else {
        break;
      }
      if (node->kind == Node::Kind::edge) fail("an anchor cannot be repeated");
      auto outer = make(Node::Kind::repeat);
      outer->low = low;
      outer->high = high;
      outer->greedy = !accept('?');
      outer->parts.push_back(std::move(node));
      node = std::move(outer);
    }
    return node;
  }

  int number() {
    int value = 0;
    const std::size_t start = at_;
    while (more() && peek() >= '0' && peek() <= '9') {
      value = value * 10 + (text_[at_++] - '0');
      if (value > kMaxRepeat) fail("a repeat count above 1000");
    }
    if (at_ == start) fail("expected a count");
    return value;
  }

  NodePtr set_node(Bytes set) {
    auto node = make(Node::Kind::set);
    node->set = folded(set);
    return node;
  }

  Bytes folded(Bytes set) const {
    if (!fold_) return set;
    for (std::size_t c = 'a'; c <= 'z'; ++c) {
      const std::size_t upper = c - 'a' + 'A';
      if (set.test(c) || set.test(upper)) set.set(c).set(upper);
    }
    return set;
  }

  NodePtr edge_node(Op op) {
    auto node = make(Node::Kind::edge);
    node->edge = op;
    return node;
  }

  NodePtr atom(int depth) {
    const char c = text_[at_++];
    switch (c) {
      case '(': {
        auto node = make(Node::Kind::group);
        if (accept('?')) {
          if (!accept(':')) fail("only (?: ) groups are understood");
        } else {
          node->slot = groups_++;
        }
        node->parts.push_back(choice(depth + 1));
        if (!accept(')')) fail("expected ')'");
        return node;
      }
      case '[':
        return set_node(bracket());
      case '.':
        return set_node(~range('\n', '\n'));
      case '^':
        return edge_node(Op::begin);
      case '$':
        return edge_node(Op::end);
      case '*':
      case '+':
      case '?':
      case '{':
        --at_;
        fail("nothing to repeat");
      case '\\': {
        if (more() && (peek() == 'b' || peek() == 'B')) {
          return edge_node(text_[at_++] == 'b' ? Op::word_edge : Op::no_word_edge);
        }
        return set_node(escape());
      }
      default: {
        const auto byte = static_cast<unsigned char>(c);
        return set_node(range(byte, byte));
      }
    }
  }

  Bytes escape() {
    if (!more()) fail("a lone backslash at the end");
    const char c = text_[at_++];
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return ~digits();
      case 's':
        return blanks();
      case 'S':
        return ~blanks();
      case 'w':
        return words();
      case 'W':
        return ~words();
      case 'n':
        return range('\n', '\n');
      case 't':
        return range('\t', '\t');
      case 'r':
        return range('\r', '\r');
      default:
        break;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (is_word(byte)) fail(std::string("\\") + c + " is not understood");
    return range(byte, byte);
  }

  Bytes bracket() {
    const bool negated = accept('^');
    Bytes set;
    bool first = true;
    while (true) {
      if (!more()) fail("expected ']'");
      if (peek() == ']' && !first) break;
      first = false;
      const std::size_t before = at_;
      Bytes part = member();
      if (at_ + 1 < text_.size() && peek() == '-' && text_[at_ + 1] != ']') {
        ++at_;
        const Bytes other = member();
        if (part.count() != 1 || other.count() != 1) fail("a range needs two single characters");
        const auto low = static_cast<unsigned char>(part._Find_first());
        const auto high = static_cast<unsigned char>(other._Find_first());
        if (low > high) {
          at_ = before;
          fail("a range out of order");
        }
        part = range(low, high);
      }
      set |= part;
    }
    ++at_;
    set = folded(set);
    return negated ? ~set : set;
  }

  Bytes member() {
    if (!more()) fail("expected ']'");
    const char c = text_[at_++];
    if (c == '\\') return escape();
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) fail("only ASCII characters can stand in [ ]");
    return range(byte, byte);
  }

  std::uint32_t next() const { return static_cast<std::uint32_t>(out_.program_.size()); }

  std::uint32_t emit(Pattern::Instruction instruction) {
    if (out_.program_.size() >= kMaxProgram) fail("the pattern is too large");
    out_.program_.push_back(instruction);
    return next() - 1;
  }

  void emit(const Node& node) {
    switch (node.kind) {
      case Node::Kind::empty:
        break;
      case Node::Kind::set:
        out_.sets_.push_back(node.set);
        emit({Op::byte_set, static_cast<std::uint32_t>(out_.sets_.size() - 1), 0});
        break;
      case Node::Kind::edge:
        emit({node.edge, 0, 0});
        break;
      case Node::Kind::sequence:
        for (const auto& part : node.parts) emit(*part);
        break;
      case Node::Kind::group: {
        const bool kept = node.slot == 0;
        if (kept) emit({Op::save, 2, 0});
        emit(*node.parts.front());
        if (kept) emit({Op::save, 3, 0});
        break;
      }
      case Node::Kind::choice: {
        std::vector<std::uint32_t> jumps;
        for (std::size_t i = 0; i + 1 < node.parts.size(); ++i) {
          const auto split = emit({Op::split, 0, 0});
          out_.program_[split].first = next();
          emit(*node.parts[i]);
          jumps.push_back(emit({Op::jump, 0, 0}));
          out_.program_[split].second = next();
        }
        emit(*node.parts.back());
        for (const auto jump : jumps) out_.program_[jump].first = next();
        break;
      }
      case Node::Kind::repeat:
        emit_repeat(node);
        break;
    }
  }

  void emit_repeat(const Node& node) {
    const Node& body = *node.parts.front();
    for (int i = 0; i < node.low; ++i) emit(body);
    const auto set_targets = [&](std::uint32_t split, std::uint32_t body_at, std::uint32_t after) {
      auto& instruction = out_.program_[split];
      instruction.first = node.greedy ? body_at : after;
      instruction.second = node.greedy ? after : body_at;
    };
    if (node.high < 0) {
      const auto split = emit({Op::split, 0, 0});
      const auto body_at = next();
      emit(body);
      emit({Op::jump, split, 0});
      set_targets(split, body_at, next());
      return;
    }
    std::vector<std::uint32_t> splits;
    for (int i = node.low; i < node.high; ++i) {
      splits.push_back(emit({Op::split, 0, 0}));
      emit(body);
    }
    for (const auto split : splits) set_targets(split, split + 1, next());
  }

  // The bytes that can follow from the start without consuming anything: lets a search skip ahead.
  void find_first_bytes() {
    std::vector<bool> seen(out_.program_.size());
    std::vector<std::uint32_t> open = {0};
    while (!open.empty()) {
      const auto at = open.back();
      open.pop_back();
      if (seen[at]) continue;
      seen[at] = true;
      const auto& instruction = out_.program_[at];
      switch (instruction.op) {
        case Op::byte_set:
          out_.first_bytes_ |= out_.sets_[instruction.first];
          break;
        case Op::match:
          out_.can_be_empty_ = true;
          break;
        case Op::split:
          open.push_back(instruction.second);
          open.push_back(instruction.first);
          break;
        case Op::jump:
          open.push_back(instruction.first);
          break;
        default:
          open.push_back(at + 1);
      }
    }
  }

  std::string_view text_;
  Pattern& out_;
  std::size_t at_ = 0;
  int groups_ = 0;
  bool fold_ = false;
};

Pattern::Pattern(std::string_view expression) {
  if (expression.size() > 1000) throw base::Error("verdict pattern of more than 1000 bytes: shorten it");
  PatternCompiler(expression, *this).compile();
}

std::string_view Pattern::Match::answer(std::string_view text) const {
  if (group) return text.substr((*group)[0], (*group)[1] - (*group)[0]);
  return text.substr(begin, end - begin);
}

namespace {

using Slots = std::array<std::size_t, kSlots>;

struct Thread {
  std::uint32_t at;
  Slots slots;
};

// The threads of one position, in order of preference, each instruction at most once.
struct ThreadList {
  std::vector<Thread> threads;
  std::vector<std::uint32_t> mark;  // generation in which an instruction was added
  std::uint32_t generation = 0;
};

bool edge_holds(Op op, std::string_view text, std::size_t at) {
  if (op == Op::begin) return at == 0;
  if (op == Op::end) return at == text.size();
  const bool before = at > 0 && is_word(static_cast<unsigned char>(text[at - 1]));
  const bool after = at < text.size() && is_word(static_cast<unsigned char>(text[at]));
  return (before != after) == (op == Op::word_edge);
}

}  // namespace

std::optional<Pattern::Match> Pattern::find(std::string_view text, std::size_t from) const {
  ThreadList now, then;
  now.mark.assign(program_.size(), 0);
  then.mark.assign(program_.size(), 0);
  std::vector<Thread> open;

  const auto add = [&](ThreadList& list, Thread start, std::size_t position) {
    open.assign(1, start);
    while (!open.empty()) {
      Thread thread = open.back();
      open.pop_back();
      if (list.mark[thread.at] == list.generation) continue;
      list.mark[thread.at] = list.generation;
      const Instruction& instruction = program_[thread.at];
      switch (instruction.op) {
        case Op::byte_set:
        case Op::match:
          list.threads.push_back(thread);
          break;
        case Op::jump:
          thread.at = instruction.first;
          open.push_back(thread);
          break;
        case Op::split: {
          Thread other = thread;
          other.at = instruction.second;
          open.push_back(other);
          thread.at = instruction.first;
          open.push_back(thread);
          break;
        }
        case Op::save:
          thread.slots[instruction.first] = position;
          ++thread.at;
          open.push_back(thread);
          break;
        default:
          if (edge_holds(instruction.op, text, position)) {
            ++thread.at;
            open.push_back(thread);
          }
      }
    }
  };

  std::optional<Match> found;
  for (std::size_t position = from; position <= text.size(); ++position) {
    if (now.threads.empty()) {
      if (found) break;
      if (!can_be_empty_) {
        while (position < text.size() && !first_bytes_.test(static_cast<unsigned char>(text[position])))
          ++position;
        if (position == text.size()) break;
      }
      ++now.generation;
    }
    if (!found) add(now, {0, {kUnset, kUnset, kUnset, kUnset}}, position);
    ++then.generation;
    then.threads.clear();
    for (const Thread& thread : now.threads) {
      const Instruction& instruction = program_[thread.at];
      if (instruction.op == Op::match) {
        Match match;
        match.begin = thread.slots[0];
        match.end = thread.slots[1];
        if (thread.slots[2] != kUnset && thread.slots[3] != kUnset)
          match.group = {thread.slots[2], thread.slots[3]};
        found = match;
        break;  // the threads behind are less preferred
      }
      if (position < text.size() &&
          sets_[instruction.first].test(static_cast<unsigned char>(text[position]))) {
        add(then, {thread.at + 1, thread.slots}, position + 1);
      }
    }
    std::swap(now, then);
  }
  return found;
}

std::vector<Pattern::Match> Pattern::find_all(std::string_view text) const {
  std::vector<Match> matches;
  for (std::size_t from = 0; from <= text.size();) {
    const auto match = find(text, from);
    if (!match) break;
    matches.push_back(*match);
    from = match->end > match->begin ? match->end : match->end + 1;
  }
  return matches;
}

}  // namespace assize::verdict
