#include "results/results_reader.h"

#include <algorithm>
#include <cstring>

#include "results/h5_read.h"
#include "results/schema.h"

namespace assize::results {

namespace {

using base::Error;
using base::ErrorKind;

/// Elements read at once where a whole column need not be in memory.
constexpr hsize_t kBlock = hsize_t{1} << 20;

std::string text_attribute(hid_t object, const char* name, const std::string& path) {
  h5::Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, path + ": reading attribute " + name);
  h5::Handle type(H5Aget_type(attribute.get()), H5Tclose, path);
  std::string value(H5Tget_size(type.get()), '\0');
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get())) {
    throw Error(path + ": attribute " + name + " is not a text", ErrorKind::failed);
  }
  h5::check(H5Aread(attribute.get(), type.get(), value.data()), path + ": reading attribute " + name);
  return value.substr(0, value.find('\0'));
}

std::uint64_t number_attribute(hid_t object, const char* name, const std::string& path) {
  h5::Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose, path + ": reading attribute " + name);
  std::uint64_t value = 0;
  h5::check(H5Aread(attribute.get(), H5T_NATIVE_UINT64, &value), path + ": reading attribute " + name);
  return value;
}

}  // namespace

struct ResultsReader::State {
  explicit State(const std::string& name) : path(name), file(h5::open_to_read(name)) {
    if (text_attribute(file.get(), "filetype", path) != kFileType) throw Error(path + ": is not a file of results");
    if (const auto version = number_attribute(file.get(), "version", path); version > kResultsVersion) {
      throw Error(path + ": results of version " + std::to_string(version) + ", this program knows up to " +
                  std::to_string(kResultsVersion) + "; use a newer assize");
    }
  }

  /// Older files lack the columns that came later.
  bool has(const std::string& table, const std::string& column) const {
    return H5Lexists(file.get(), table.c_str(), H5P_DEFAULT) > 0 && H5Lexists(file.get(), (table + "/" + column).c_str(), H5P_DEFAULT) > 0;
  }

  h5::Handle open(const std::string& table, const std::string& column) const {
    const std::string name = "/" + table + "/" + column;
    return {H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose, path + ": opening " + name};
  }

  template <class T>
  std::vector<T> read(const std::string& table, const std::string& column, hid_t memory_type) const {
    const h5::Handle set = open(table, column);
    const std::string what = path + ": /" + table + "/" + column;
    std::vector<T> values(h5::size_of(set.get(), what));
    h5::read_block(set.get(), memory_type, 0, values.size(), values.data(), what);
    return values;
  }

  /// The ends of a text or ragged column, checked against its `size` elements.
  std::vector<std::int64_t> ends(const std::string& table, const std::string& column, std::size_t size) const {
    auto values = read<std::int64_t>(table, column + "_end", H5T_NATIVE_INT64);
    std::int64_t before = 0;
    for (std::int64_t end : values) {
      if (end < before || end > static_cast<std::int64_t>(size)) {
        throw Error(path + ": /" + table + "/" + column + "_end runs backwards or too far", ErrorKind::failed);
      }
      before = end;
    }
    return values;
  }

  std::string path;
  h5::Handle file;
};

ResultsReader::ResultsReader(const std::filesystem::path& path) : state_(std::make_unique<State>(path.string())) {}
ResultsReader::~ResultsReader() = default;

FileInfo ResultsReader::info() const {
  const hid_t root = state_->file.get();
  FileInfo info;
  info.code_version = text_attribute(root, "code_version", state_->path);
  info.created = text_attribute(root, "created", state_->path);
  info.job = text_attribute(root, "job", state_->path);
  info.identity = text_attribute(root, "identity", state_->path);
  info.model_hash = text_attribute(root, "model_hash", state_->path);
  info.seed = number_attribute(root, "seed", state_->path);
  return info;
}

bool ResultsReader::complete() const { return number_attribute(state_->file.get(), "complete", state_->path) != 0; }

std::int64_t ResultsReader::rows(const std::string& table) const {
  h5::Handle group(H5Gopen2(state_->file.get(), table.c_str(), H5P_DEFAULT), H5Gclose, state_->path + ": opening /" + table);
  return static_cast<std::int64_t>(number_attribute(group.get(), "rows", state_->path));
}

std::vector<double> ResultsReader::numbers(const std::string& table, const std::string& column) const {
  return state_->read<double>(table, column, H5T_NATIVE_DOUBLE);
}

std::vector<std::string> ResultsReader::texts(const std::string& table, const std::string& column) const {
  const auto bytes = state_->read<char>(table, column, H5T_NATIVE_UINT8);
  std::vector<std::string> texts;
  std::int64_t begin = 0;
  for (std::int64_t end : state_->ends(table, column, bytes.size())) {
    texts.emplace_back(bytes.data() + begin, static_cast<std::size_t>(end - begin));
    begin = end;
  }
  return texts;
}

std::vector<std::vector<double>> ResultsReader::lists(const std::string& table, const std::string& column) const {
  const auto values = state_->read<double>(table, column, H5T_NATIVE_DOUBLE);
  std::vector<std::vector<double>> lists;
  std::int64_t begin = 0;
  for (std::int64_t end : state_->ends(table, column, values.size())) {
    lists.emplace_back(values.begin() + begin, values.begin() + end);
    begin = end;
  }
  return lists;
}

std::vector<MetricRow> ResultsReader::metrics() const {
  const auto suite = texts("metrics", "suite");
  const auto group = texts("metrics", "group");
  const auto name = texts("metrics", "name");
  const auto rule = texts("metrics", "rule");
  const auto value = numbers("metrics", "value");
  const auto low = numbers("metrics", "low");
  const auto high = numbers("metrics", "high");
  const auto n = numbers("metrics", "n");
  std::vector<MetricRow> rows;
  for (std::size_t i = 0; i < suite.size(); ++i) {
    rows.push_back({suite[i], group.at(i), name.at(i), rule.at(i), value.at(i), low.at(i), high.at(i),
                    static_cast<std::int64_t>(n.at(i))});
  }
  return rows;
}

base::Hash128 ResultsReader::digest() const {
  base::Hasher hasher;
  hasher.add(number_attribute(state_->file.get(), "complete", state_->path));
  for (const Column& column : schema()) {
    if (std::strcmp(column.table, "timing") == 0 || std::strcmp(column.table, "throughput") == 0) continue;
    if (!state_->has(column.table, column.name)) continue;
    const bool several = column.type >= ColumnType::text;
    for (const std::string& name : {std::string(column.name), std::string(column.name) + "_end"}) {
      if (name != column.name && !several) continue;
      const std::string what = state_->path + ": /" + column.table + "/" + name;
      const h5::Handle set = state_->open(column.table, name);
      const h5::Handle type(H5Dget_type(set.get()), H5Tclose, what);
      const hsize_t size = h5::size_of(set.get(), what);
      hasher.add(std::string_view(column.table)).add(std::string_view(name)).add(std::uint64_t{size});
      std::vector<std::byte> block;
      for (hsize_t begin = 0; begin < size; begin += kBlock) {
        const hsize_t count = std::min(kBlock, size - begin);
        block.resize(count * H5Tget_size(type.get()));
        h5::read_block(set.get(), type.get(), begin, count, block.data(), what);
        hasher.add(std::span<const std::byte>(block));
      }
    }
  }
  return hasher.digest();
}

}  // namespace assize::results
