#include "results/export_tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "results/h5_read.h"
#include "results/schema.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

constexpr hsize_t kBlockRows = 4096;

std::string number_text(double value, TextFormat format) {
  if (std::isfinite(value)) return fmt::format("{}", value);
  return format == TextFormat::csv ? "" : "null";
}

std::string quoted(std::string_view text, TextFormat format) {
  if (format == TextFormat::jsonl) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

/// One column, read in blocks of rows.
class ColumnReader {
 public:
  ColumnReader(hid_t file, const Column& column, const std::string& path)
      : column_(column), what_(fmt::format("{}: /{}/{}", path, column.table, column.name)), set_(open(file, "")) {
    if (column.type >= ColumnType::text) ends_set_ = open(file, "_end");
  }

  hsize_t rows() const { return h5::size_of(column_.type >= ColumnType::text ? ends_set_.get() : set_.get(), what_); }

  /// Makes rows [begin, begin + count) the ones that `cell` gives.
  void load(hsize_t begin, hsize_t count) {
    if (column_.type < ColumnType::text) {
      reads_integer() ? read(integers_, begin, count, H5T_NATIVE_UINT64) : read(numbers_, begin, count, H5T_NATIVE_DOUBLE);
      return;
    }
    first_ = ends_.empty() ? 0 : ends_.back();
    ends_.resize(count);
    h5::read_block(ends_set_.get(), H5T_NATIVE_INT64, begin, count, ends_.data(), what_);
    std::int64_t before = first_;
    for (const std::int64_t end : ends_) {
      if (end < before) throw Error(what_ + "_end runs backwards", ErrorKind::failed);
      before = end;
    }
    if (static_cast<hsize_t>(before) > h5::size_of(set_.get(), what_)) throw Error(what_ + "_end runs too far", ErrorKind::failed);
    const auto begin_value = static_cast<hsize_t>(first_), values = static_cast<hsize_t>(before - first_);
    column_.type == ColumnType::text ? read(bytes_, begin_value, values, H5T_NATIVE_UINT8)
                                     : read(numbers_, begin_value, values, H5T_NATIVE_DOUBLE);
  }

  std::string cell(std::size_t row, TextFormat format) const {
    if (column_.type < ColumnType::text) {
      return reads_integer() ? fmt::format("{}", integers_[row]) : number_text(numbers_[row], format);
    }
    const auto begin = static_cast<std::size_t>((row == 0 ? first_ : ends_[row - 1]) - first_);
    const auto end = static_cast<std::size_t>(ends_[row] - first_);
    if (column_.type == ColumnType::text) return quoted({bytes_.data() + begin, end - begin}, format);
    std::string list = "[";
    for (std::size_t i = begin; i < end; ++i) {
      list += (i == begin ? "" : ", ") + number_text(numbers_[i], TextFormat::jsonl);
    }
    return quoted_list(list + "]", format);
  }

 private:
  static std::string quoted_list(const std::string& list, TextFormat format) {
    return format == TextFormat::jsonl ? list : quoted(list, format);
  }
  /// Hashes need all 64 bits; every other number fits a double.
  bool reads_integer() const { return column_.type == ColumnType::u64; }

  h5::Handle open(hid_t file, const char* suffix) const {
    const std::string name = fmt::format("/{}/{}{}", column_.table, column_.name, suffix);
    return {H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose, what_ + suffix + ": opening"};
  }
  template <class T>
  void read(std::vector<T>& values, hsize_t begin, hsize_t count, hid_t type) {
    values.resize(count);
    h5::read_block(set_.get(), type, begin, count, values.data(), what_);
  }

  const Column& column_;
  std::string what_;
  h5::Handle set_;
  h5::Handle ends_set_;
  std::int64_t first_ = 0;  ///< first value of the loaded rows
  std::vector<std::int64_t> ends_;
  std::vector<char> bytes_;
  std::vector<double> numbers_;
  std::vector<std::uint64_t> integers_;
};

/// A text file that appears whole under its name, or not at all.
class TextFile {
 public:
  explicit TextFile(std::filesystem::path path)
      : path_(std::move(path)), temporary_(path_.string() + ".tmp"), file_(std::fopen(temporary_.c_str(), "wb"), &std::fclose) {
    if (!file_) throw Error(temporary_.string() + ": cannot be made; choose another folder with --output", ErrorKind::failed);
  }
  ~TextFile() {
    if (!file_) return;
    file_.reset();
    std::error_code code;
    std::filesystem::remove(temporary_, code);
  }
  void write(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
  }
  void finish() {
    if (std::fclose(file_.release()) != 0) fail();
    std::filesystem::rename(temporary_, path_);
  }

 private:
  [[noreturn]] void fail() const { throw Error(temporary_.string() + ": cannot be written; is the disk full?", ErrorKind::failed); }

  std::filesystem::path path_, temporary_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

std::string header_line(std::span<const Column> columns) {
  std::string line;
  for (const Column& column : columns) line += (line.empty() ? "" : ",") + std::string(column.name);
  return line + "\r\n";
}

void export_table(hid_t file, const char* table, const std::string& path, TextFile& out, TextFormat format) {
  const auto columns = columns_of(table);
  std::vector<ColumnReader> readers;
  for (const Column& column : columns) readers.emplace_back(file, column, path);
  if (readers.empty()) return;
  const hsize_t rows = readers.front().rows();
  for (const ColumnReader& reader : readers) {
    if (reader.rows() != rows) throw Error(fmt::format("{}: the columns of /{} differ in length", path, table), ErrorKind::failed);
  }
  if (format == TextFormat::csv) out.write(header_line(columns));
  for (hsize_t begin = 0; begin < rows; begin += kBlockRows) {
    const hsize_t count = std::min(kBlockRows, rows - begin);
    for (ColumnReader& reader : readers) reader.load(begin, count);
    std::string text;
    for (std::size_t row = 0; row < count; ++row) {
      for (std::size_t c = 0; c < columns.size(); ++c) {
        if (format == TextFormat::csv) {
          text += (c == 0 ? "" : ",") + readers[c].cell(row, format);
        } else {
          text += fmt::format("{}\"{}\": {}", c == 0 ? "{" : ", ", columns[c].name, readers[c].cell(row, format));
        }
      }
      text += format == TextFormat::csv ? "\r\n" : "}\n";
    }
    out.write(text);
  }
}

}  // namespace

void export_tables(const std::filesystem::path& results_file, const std::filesystem::path& folder, TextFormat format) {
  const h5::Handle file = h5::open_to_read(results_file.string());
  for (const char* table : tables()) {
    TextFile out(folder / fmt::format("{}.{}", table, format == TextFormat::csv ? "csv" : "jsonl"));
    export_table(file.get(), table, results_file.string(), out, format);
    out.finish();
  }
}

}  // namespace assize::results
