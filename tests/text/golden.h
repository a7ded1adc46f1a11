#pragma once

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "support/paths.h"
#include "text/tokenizer.h"

// Access to tests/golden/tokenizer_*.json (made by tools/golden/tokenizer.py).
namespace golden {

inline std::string path(const std::string& name) { return assize::support::source_dir() + "/tests/golden/" + name; }

inline nlohmann::json read(const std::string& name) {
  std::ifstream in(path(name));
  return nlohmann::json::parse(in);
}

/// The golden strings as bytes; some are not UTF-8.
inline std::vector<std::string> strings() {
  std::vector<std::string> all;
  for (const auto& row : read("tokenizer_strings.json")) {
    if (row.is_string()) {
      all.push_back(row.get<std::string>());
      continue;
    }
    const std::string hex = row.at("hex");
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    all.push_back(bytes);
  }
  return all;
}

inline assize::text::Tokenizer small(const std::string& name) {
  return assize::text::Tokenizer::load(path("tokenizer_small_" + name + ".json"));
}

/// FNV-1a over the ids as little-endian 32-bit numbers, eight hexadecimal digits.
inline std::string hash(std::span<const std::int32_t> ids) {
  std::uint32_t h = 0x811C9DC5u;
  for (const std::int32_t id : ids) {
    for (int byte = 0; byte < 4; ++byte)
      h = (h ^ ((static_cast<std::uint32_t>(id) >> (8 * byte)) & 0xFF)) * 0x01000193u;
  }
  char text[9];
  std::snprintf(text, sizeof text, "%08x", h);
  return text;
}

inline std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string word; in >> word;) all.push_back(word);
  return all;
}

}  // namespace golden
