#pragma once

#include <filesystem>

namespace assize::results {

enum class TextFormat {
  csv,    ///< RFC 4180, a header line; ragged columns as [1, 2], NaN as an empty field
  jsonl,  ///< one object a line; NaN as null, bytes that are not UTF-8 as U+FFFD
};

/// Writes every table of a results.h5 as FOLDER/TABLE.csv or FOLDER/TABLE.jsonl, each put in place as a whole, with
/// the columns of the schema in their order. Streams: memory does not grow with the file. Throws Error with the path.
void export_tables(const std::filesystem::path& results_file, const std::filesystem::path& folder, TextFormat format);

}  // namespace assize::results
