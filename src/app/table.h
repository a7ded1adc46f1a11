#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace assize::app {

/// One row of a table: a text per column, empty where there is nothing.
struct TableRow {
  int line = 0;  ///< 1-based line of the file on which the row begins
  std::vector<std::string> cells;
};

/// A table as its file gives it: everything is text.
struct Table {
  std::string file;  ///< as messages name it
  std::vector<std::string> columns;
  std::vector<TableRow> rows;

  /// The column of that name. Throws base::Error naming the columns there are and the nearest one, or saying that
  /// two columns have this name.
  std::size_t column(std::string_view name) const;
  bool has_column(std::string_view name) const;
  /// "votes.csv:12"
  std::string place(const TableRow& row) const;
};

/// CSV text (RFC 4180): a header line, fields parted by `delimiter`, quotes "" around fields that hold delimiters,
/// quotes or line ends. LF or CR LF; empty lines are skipped. Throws base::Error with file and line for a row with
/// another number of fields than the header, for a quote that is never closed and for text behind a closing quote.
Table parse_csv(std::string_view text, const std::string& file, char delimiter);

/// JSON Lines: one object a line. Members of objects inside are columns "outer.inner", those of lists of up to 32
/// members "outer.0"; a longer list is one cell of JSON text; null is empty. Columns are in order of first appearance.
/// Throws base::Error with file and line for a line that is not one JSON object, for a member that is there twice, for
/// nesting deeper than 64 and for more than 4096 columns.
Table parse_jsonl(std::string_view text, const std::string& file);

/// Reads FILE.csv, FILE.tsv (parted by tabs), FILE.jsonl or FILE.ndjson of at most 4 GiB; a byte order mark is
/// skipped. Throws base::Error for other endings, text that is not UTF-8 and tables without a row.
Table read_table(const std::filesystem::path& path);

}  // namespace assize::app
