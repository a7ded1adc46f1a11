#include <algorithm>
#include <charconv>

#include "tests/cuda_emulation/ptx/program.h"

namespace assize::cuda_emulation::ptx {

namespace {

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// Splits at commas that are in no brackets.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      parts.push_back(trim(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '{' || text[i] == '[') {
      ++depth;
    } else if (text[i] == '}' || text[i] == ']') {
      --depth;
    }
  }
  return parts;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::vector<Entry> parse() {
    while (next_line()) {
      const auto begin = line_.find(".entry ");
      if (begin != line_.npos && (begin == 0 || trim(line_.substr(0, begin)) == ".visible")) {
        entries_.emplace_back();
        entries_.back().name = line_.substr(begin + 7, line_.find('(') - begin - 7);
        header();
        body();
      } else if (line_.find(".shared") != line_.npos) {
        if (!line_.starts_with(".extern")) fail("only dynamic shared memory is known");
        shared_ = line_.substr(line_.rfind(' ') + 1);
        shared_ = shared_.substr(0, shared_.find('['));
      } else if (!line_.starts_with(".version") && !line_.starts_with(".target") &&
                 !line_.starts_with(".address_size")) {
        fail("not known outside an entry");
      }
    }
    return std::move(entries_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(file_ + ":" + std::to_string(number_) + ": " + what + ": " + std::string(line_));
  }

  /// The next line that holds more than a comment.
  bool next_line() {
    while (at_ < text_.size()) {
      const auto end = std::min(text_.find('\n', at_), text_.size());
      line_ = text_.substr(at_, end - at_);
      line_ = trim(line_.substr(0, line_.find("//")));
      at_ = end + 1;
      ++number_;
      if (!line_.empty()) return true;
    }
    return false;
  }

  void header() {
    while (next_line() && line_ != "{") {
      if (line_.starts_with(".param")) {
        if (entry().param_bytes) fail("a second parameter");
        const auto open = line_.find('[');
        if (open == line_.npos) fail("a parameter that is not an array of bytes");
        entry().param_bytes =
            static_cast<std::size_t>(integer(line_.substr(open + 1, line_.size() - open - 2)));
        const auto name = line_.rfind(' ', open) + 1;
        param_ = line_.substr(name, open - name);
      } else if (line_ != ")" && !line_.starts_with(".maxntid") && !line_.starts_with(".minnctapersm")) {
        fail("not known in the head of an entry");
      }
    }
  }

  void body() {
    registers_.clear();
    declared_.clear();
    constants_.clear();
    labels_.clear();
    jumps_.clear();
    scratch_ = new_register();
    for (int depth = 1; depth > 0;) {
      if (!next_line()) fail("the file ends inside an entry");
      if (line_ == "{") {
        ++depth;
      } else if (line_ == "}") {
        --depth;
      } else {
        // Inline assembly comes as { instruction; }.
        std::string_view statement = line_;
        if (statement.starts_with('{') && statement.ends_with('}'))
          statement = trim(statement.substr(1, statement.size() - 2));
        if (statement.ends_with(':')) {
          labels_[std::string(statement.substr(0, statement.size() - 1))] = position();
        } else if (statement.starts_with(".reg")) {
          declare(statement);
        } else if (!statement.starts_with(".pragma")) {
          if (!statement.ends_with(';')) fail("no ; at the end");
          instruction(trim(statement.substr(0, statement.size() - 1)));
        }
      }
    }
    for (const auto& [at, label] : jumps_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) fail("no such label in the entry before: " + label);
      entry().code[at].target = found->second;
    }
  }

  /// .reg .b32 %r<12>;  or  .reg .b32 %temp;
  void declare(std::string_view statement) {
    const auto name = statement.find('%');
    if (name == statement.npos) fail("a register without %");
    const auto open = statement.find('<');
    if (open == statement.npos) {
      registers_.try_emplace(std::string(trim(statement.substr(name, statement.find(';') - name))),
                             new_register());
    } else {
      declared_.emplace_back(statement.substr(name, open - name));
    }
  }

  void instruction(std::string_view statement) {
    Instruction made;
    made.line = number_;
    if (statement.starts_with('@')) {
      const auto end = statement.find_first_of(" \t");
      std::string_view guard = statement.substr(1, end - 1);
      made.guard_negated = guard.starts_with('!');
      if (made.guard_negated) guard.remove_prefix(1);
      made.guard = find_register(guard);
      statement = trim(statement.substr(end));
    }
    const auto end = std::min(statement.find_first_of(" \t"), statement.size());
    std::string opcode(statement.substr(0, end));
    const auto operands = split(trim(statement.substr(end)));
    if (opcode == "mov.b32" || opcode == "mov.b64") {
      if (operands[0].starts_with('{')) opcode += ":unpack";
      if (operands.back().starts_with('{')) opcode += ":pack";
    }
    Meaning meaning;
    try {
      meaning = find_opcode(opcode);
    } catch (const Error& error) {
      fail(error.what());
    }
    made.run = meaning.run;
    made.flow = meaning.flow;
    if (made.flow == Flow::branch) {
      jumps_.emplace_back(entry().code.size(), std::string(operands[0]));
    } else {
      for (const auto operand : operands)
        if (!operand.empty()) add_operand(made, operand, opcode);
    }
    if (made.guard >= 0 && made.flow != Flow::plain && made.flow != Flow::branch && made.flow != Flow::leave)
      fail("a guarded instruction that waits for others");
    entry().code.push_back(std::move(made));
  }

  void add_operand(Instruction& made, std::string_view operand, const std::string& opcode) {
    if (operand.starts_with('{') || operand.starts_with('[')) {
      if (operand.back() != (operand.front() == '{' ? '}' : ']')) fail("brackets that do not close");
      const std::string_view inner = trim(operand.substr(1, operand.size() - 2));
      if (operand.front() == '{') {
        for (const auto part : split(inner)) made.registers.push_back(value(part));
        return;
      }
      const auto plus = inner.find('+');
      const std::string_view base = trim(inner.substr(0, plus));
      // cp.async has two addresses; an offset would be that of one of them.
      if (plus != inner.npos) {
        if (opcode.starts_with("cp.async")) fail("an offset in cp.async");
        made.offset = integer(trim(inner.substr(plus + 1)));
      }
      made.registers.push_back(base == param_ ? constant(0) : value(base));
    } else if (const auto bar = operand.find('|'); bar != operand.npos) {
      made.registers.push_back(value(operand.substr(0, bar)));
      made.registers.push_back(value(operand.substr(bar + 1)));
    } else {
      made.registers.push_back(value(operand));
      if (opcode.starts_with("shfl") && made.registers.size() == 1) made.registers.push_back(scratch_);
    }
  }

  /// The register of an operand.
  std::int32_t value(std::string_view operand) {
    if (operand == "_") return scratch_;
    if (operand == shared_ && !shared_.empty()) return constant(0);
    if (operand.starts_with('%')) return find_register(operand);
    if (operand.starts_with("0f") || operand.starts_with("0F") || operand.starts_with("0d") ||
        operand.starts_with("0D")) {
      std::uint64_t bits = 0;
      const auto [end, error] =
          std::from_chars(operand.data() + 2, operand.data() + operand.size(), bits, 16);
      if (error != std::errc() || end != operand.data() + operand.size()) fail("not a number");
      return constant(bits);
    }
    return constant(static_cast<std::uint64_t>(integer(operand)));
  }

  std::int64_t integer(std::string_view text) const {
    const bool negative = text.starts_with('-');
    std::string_view digits = text.substr(negative);
    const bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    if (hexadecimal) digits.remove_prefix(2);
    if (digits.ends_with('U')) digits.remove_suffix(1);
    std::uint64_t bits = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), bits, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size())
      fail("operand " + std::string(text) + " is not known");
    return static_cast<std::int64_t>(negative ? 0 - bits : bits);
  }

  std::int32_t find_register(std::string_view name) {
    const std::string key(name);
    if (const auto found = registers_.find(key); found != registers_.end()) return found->second;
    for (const char* special : {"%tid.x", "%ctaid.x", "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y",
                                "%nctaid.z", "%ntid.x", "%laneid"})
      if (name == special) return registers_[key] = entry().special[key] = new_register();
    const auto digits = std::min(name.find_first_of("0123456789"), name.size());
    if (std::find(declared_.begin(), declared_.end(), name.substr(0, digits)) == declared_.end())
      fail("register " + key + " is not declared");
    return registers_[key] = new_register();
  }

  std::int32_t constant(std::uint64_t bits) {
    const auto [found, added] = constants_.try_emplace(bits, 0);
    if (added) {
      found->second = new_register();
      entry().constants.emplace_back(found->second, bits);
    }
    return found->second;
  }

  Entry& entry() { return entries_.back(); }
  std::int32_t new_register() { return entry().register_count++; }
  std::int32_t position() { return static_cast<std::int32_t>(entry().code.size()); }

  std::string_view text_, line_;
  const std::string& file_;
  std::size_t at_ = 0;
  int number_ = 0;
  std::vector<Entry> entries_;
  std::string shared_, param_;
  std::int32_t scratch_ = 0;
  std::map<std::string, std::int32_t> registers_, labels_;
  std::vector<std::string> declared_;
  std::map<std::uint64_t, std::int32_t> constants_;
  std::vector<std::pair<std::size_t, std::string>> jumps_;
};

}  // namespace

std::vector<Entry> parse(std::string_view text, const std::string& file) {
  return Parser(text, file).parse();
}

}  // namespace assize::cuda_emulation::ptx
