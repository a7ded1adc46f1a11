#include "app/table.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "job/reader.h"
#include "suite/json_line.h"

namespace assize::app {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

constexpr std::size_t kMaxSpread = 32;     // longer lists (token ids …) stay one cell of JSON text
constexpr std::size_t kMaxColumns = 4096;  // every row has a cell for each

[[noreturn]] void refuse(const std::string& file, int line, const std::string& what) {
  throw base::Error(fmt::format("{}:{}: {}", file, line, what));
}

/// Takes CSV text apart, row by row.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& file, char delimiter)
      : text_(text), file_(file), delimiter_(delimiter) {}

  /// The next row that is not an empty line; false at the end.
  bool next(TableRow& row) {
    while (at_ < text_.size()) {
      row.line = line_;
      row.cells.clear();
      bool quoted = false;
      do {
        row.cells.push_back(field(quoted));
      } while (more());
      if (row.cells.size() > 1 || quoted || !row.cells[0].empty()) return true;
    }
    return false;
  }

 private:
  bool at_line_end() const {
    return at_ >= text_.size() || text_[at_] == '\n' || (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n');
  }

  // Steps over what ends a field; true when another field of the row follows.
  bool more() {
    if (at_ < text_.size() && text_[at_] == delimiter_) {
      ++at_;
      return true;
    }
    if (at_ < text_.size()) {
      at_ += text_[at_] == '\r' ? 2 : 1;
      ++line_;
    }
    return false;
  }

  std::string field(bool& quoted) {
    if (at_ >= text_.size() || text_[at_] != '"') {
      const std::size_t begin = at_;
      while (!at_line_end() && text_[at_] != delimiter_) ++at_;
      return std::string(text_.substr(begin, at_ - begin));
    }
    quoted = true;
    const int opened = line_;
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') {
          ++at_;
          if (!at_line_end() && text_[at_] != delimiter_) refuse(file_, line_, "text behind a closing quote; write a quote inside a field as \"\"");
          return value;
        }
        ++at_;
      }
      line_ += text_[at_] == '\n';
      value += text_[at_];
    }
    refuse(file_, opened, "the quote that opens here is never closed");
  }

  std::string_view text_;
  const std::string& file_;
  char delimiter_;
  std::size_t at_ = 0;
  int line_ = 1;
};

/// The columns and cells of a JSON Lines file while its lines are read.
class JsonColumns {
 public:
  explicit JsonColumns(Table& table) : table_(table) {}

  void add(const Json& value, const std::string& name) {
    if (value.is_object()) {
      for (const auto& [key, inner] : value.items()) add(inner, name.empty() ? key : name + "." + key);
    } else if (value.is_array() && value.size() <= kMaxSpread) {
      for (std::size_t i = 0; i < value.size(); ++i) add(value[i], fmt::format("{}.{}", name, i));
    } else {
      set(name, value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump());
    }
  }

 private:
  void set(const std::string& name, std::string text) {
    const auto [place, fresh] = places_.try_emplace(name, table_.columns.size());
    if (fresh) table_.columns.push_back(name);
    if (table_.columns.size() > kMaxColumns) {
      refuse(table_.file, table_.rows.back().line, fmt::format("more than {} different members; columns are members", kMaxColumns));
    }
    auto& cells = table_.rows.back().cells;
    if (cells.size() <= place->second) cells.resize(place->second + 1);
    cells[place->second] = std::move(text);
  }

  Table& table_;
  std::unordered_map<std::string, std::size_t> places_;
};

}  // namespace

std::size_t Table::column(std::string_view name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) {
    const std::string near = job::nearest(name, columns);
    throw base::Error(fmt::format("{}: there is no column '{}'; {}columns: {}", file, name,
                                  near.empty() ? "" : fmt::format("did you mean '{}'? ", near), fmt::join(columns, ", ")));
  }
  if (std::find(found + 1, columns.end(), name) != columns.end()) {
    throw base::Error(fmt::format("{}: two columns are named '{}'; rename one", file, name));
  }
  return static_cast<std::size_t>(found - columns.begin());
}

bool Table::has_column(std::string_view name) const { return std::find(columns.begin(), columns.end(), name) != columns.end(); }

std::string Table::place(const TableRow& row) const { return fmt::format("{}:{}", file, row.line); }

Table parse_csv(std::string_view text, const std::string& file, char delimiter) {
  Table table;
  table.file = file;
  CsvReader reader(text, file, delimiter);
  TableRow row;
  if (reader.next(row)) table.columns = row.cells;
  while (reader.next(row)) {
    if (row.cells.size() != table.columns.size()) {
      refuse(file, row.line, fmt::format("{} fields, the header has {}", row.cells.size(), table.columns.size()));
    }
    table.rows.push_back(row);
  }
  return table;
}

Table parse_jsonl(std::string_view text, const std::string& file) {
  Table table;
  table.file = file;
  JsonColumns columns(table);
  int line = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++line;
    if (one.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    table.rows.push_back({line, {}});
    const suite::JsonLine read = suite::read_json_line(one);
    if (!read.problem.empty()) refuse(file, line, read.problem);
    columns.add(read.object, "");
  }
  for (auto& row : table.rows) row.cells.resize(table.columns.size());
  return table;
}

Table read_table(const fs::path& path) {
  const std::string ending = path.extension().string();
  const bool json = ending == ".jsonl" || ending == ".ndjson";
  if (!json && ending != ".csv" && ending != ".tsv") {
    throw base::Error(fmt::format("{}: a table must be a .csv, .tsv or .jsonl file", path.string()));
  }
  const std::string contents = base::read_file(path);
  std::string_view text = contents;
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.remove_prefix(3);
  if (text.substr(0, 2) == "\xFF\xFE" || text.substr(0, 2) == "\xFE\xFF" || text.find('\0') != std::string_view::npos) {
    throw base::Error(fmt::format("{}: is not UTF-8 text; save it as UTF-8", path.string()));
  }
  Table table = json ? parse_jsonl(text, path.string()) : parse_csv(text, path.string(), ending == ".tsv" ? '\t' : ',');
  if (table.rows.empty()) throw base::Error(fmt::format("{}: has no rows", path.string()));
  return table;
}

}  // namespace assize::app
