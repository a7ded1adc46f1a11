#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace assize::suite {

/// One line of a JSON Lines file.
struct JsonLine {
  nlohmann::json object;
  std::string problem;  ///< what is wrong with the line, in a few words; empty where nothing is
};

/// Reads one JSON object. A member that is there twice is a problem; `object` then has its last value, to name the line
/// by. Anything else than an object, or nesting deeper than 64, is a problem without an object. Never throws.
JsonLine read_json_line(std::string_view text);

}  // namespace assize::suite
