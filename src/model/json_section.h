#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace assize::model {

/// Checked reading of one object of an untrusted configuration file. Keys are looked up in the given objects
/// in order; null counts as absent. Every complaint is an Error "FILE: KEY is VALUE; EXPECTED".
class JsonSection {
 public:
  /// `prefix` stands before the key in messages ("vision_config.", empty at top level).
  JsonSection(std::string file, std::string prefix, std::vector<const nlohmann::json*> objects)
      : file_(std::move(file)), prefix_(std::move(prefix)), objects_(std::move(objects)) {}

  /// The value of `key`, or null if it is absent.
  const nlohmann::json* find(const std::string& key) const;

  /// The object `key` as a section of its own; null if absent. Throws if it is no object.
  const nlohmann::json* find_object(const std::string& key) const;

  /// A whole number in [low, high].
  std::int32_t integer(const std::string& key, std::int32_t low, std::int32_t high) const;
  std::int32_t integer_or(const std::string& key, std::int32_t absent, std::int32_t low,
                          std::int32_t high) const;

  /// A number in [low, high].
  double number(const std::string& key, double low, double high) const;
  double number_or(const std::string& key, double absent, double low, double high) const;

  bool flag_or(const std::string& key, bool absent) const;
  std::string text_or(const std::string& key, const std::string& absent) const;

  /// One whole number or a list of at most 64, each in [low, high]; empty if absent.
  std::vector<std::int32_t> integers(const std::string& key, std::int32_t low, std::int32_t high) const;

  /// Throws the Error for `key`: `expected` says what would be right.
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;

  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::string prefix_;
  std::vector<const nlohmann::json*> objects_;
};

/// The JSON object in file `path` (at most 16 MiB). Throws Error naming the file.
nlohmann::json read_json_object(const std::string& path);

}  // namespace assize::model
