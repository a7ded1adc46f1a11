#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "results/rows.h"

namespace assize::results {

/// Reads results.h5 column by column. Table and column names as in schema.h; a name or type that is not there,
/// offsets that run backwards or a file of a newer version throw Error with the path.
class ResultsReader {
 public:
  explicit ResultsReader(const std::filesystem::path& path);
  ~ResultsReader();

  FileInfo info() const;
  bool complete() const;  ///< every call of the job has a judgement
  std::int64_t rows(const std::string& table) const;
  /// Any numeric column, as double (exact below 2^53).
  std::vector<double> numbers(const std::string& table, const std::string& column) const;
  std::vector<std::string> texts(const std::string& table, const std::string& column) const;
  /// A ragged column, as double.
  std::vector<std::vector<double>> lists(const std::string& table, const std::string& column) const;
  std::vector<MetricRow> metrics() const;

  /// One hash over the contents of every table but /timing, and `complete`: equal for equal results, whatever
  /// the shape of the machine. Columns that an older file lacks are left out.
  base::Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assize::results
