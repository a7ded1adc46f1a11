#pragma once

#include <span>

namespace assize::results {

/// Element type of a column. Text and ragged columns are two datasets: NAME with the bytes or values of all rows
/// one after the other, and NAME_end (i64) with the end of each row in it.
enum class ColumnType { u8, u16, u32, u64, i32, i64, f64, text, ragged_i32, ragged_f32, ragged_f64 };

/// One column of results.h5. FORMAT.md shows the same table; a test compares them.
struct Column {
  const char* table;  ///< HDF5 group
  const char* name;
  ColumnType type;
  const char* meaning;  ///< stored as the attribute `meaning` of the dataset
};

inline constexpr const char* kFileType = "assize results";
inline constexpr int kResultsVersion = 1;

/// All columns, table by table, in the order in which rows are written.
std::span<const Column> schema();
/// The tables of the schema, in order.
std::span<const char* const> tables();
/// The columns of one table.
std::span<const Column> columns_of(const char* table);
/// "text", "ragged f64", "i32": as FORMAT.md writes it.
const char* name(ColumnType type);

}  // namespace assize::results
