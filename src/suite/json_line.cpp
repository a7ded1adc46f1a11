#include "suite/json_line.h"

#include <unordered_set>
#include <vector>

namespace assize::suite {

namespace {

constexpr int kMaxDepth = 64;

struct TooDeep {};

constexpr const char* kBroken = "broken line: it is not a JSON object";

}  // namespace

JsonLine read_json_line(std::string_view text) {
  using Json = nlohmann::json;
  std::vector<std::unordered_set<std::string>> open;  // the members of each object around the place
  JsonLine line;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) throw TooDeep{};
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second) {
      line.problem = "'" + parsed.get<std::string>() + "' is there twice in one object";
    }
    return true;
  };
  try {
    line.object = Json::parse(text, watch);
  } catch (const Json::parse_error&) {
    line.object = nullptr;
  } catch (const TooDeep&) {
    line.object = nullptr;
  }
  if (!line.object.is_object()) line.problem = kBroken;
  return line;
}

}  // namespace assize::suite
