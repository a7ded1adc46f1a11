#include "model/json_section.h"

#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace assize::model {

using nlohmann::json;

namespace {
std::string shortened(const json& value) {
  std::string text = value.dump();
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

std::string range_text(const char* kind, const std::string& low, const std::string& high) {
  return std::string("must be ") + kind + " from " + low + " to " + high;
}
}  // namespace

const json* JsonSection::find(const std::string& key) const {
  for (const json* object : objects_) {
    const auto entry = object->find(key);
    if (entry != object->end() && !entry->is_null()) return &*entry;
  }
  return nullptr;
}

const json* JsonSection::find_object(const std::string& key) const {
  const json* value = find(key);
  if (value && !value->is_object()) fail(key, "must be an object");
  return value;
}

void JsonSection::fail(const std::string& key, const std::string& expected) const {
  const json* value = find(key);
  throw base::Error(file_ + ": " + prefix_ + key + (value ? " is " + shortened(*value) : " is missing") +
                    "; " + expected);
}

std::int32_t JsonSection::integer(const std::string& key, std::int32_t low, std::int32_t high) const {
  const json* value = find(key);
  const bool is_small = value && value->is_number_integer() &&
                        !(value->is_number_unsigned() && value->get<std::uint64_t>() > 0x7FFFFFFFu);
  const std::int64_t number = is_small ? value->get<std::int64_t>() : 0;
  if (!is_small || number < low || number > high) {
    fail(key, range_text("a whole number", std::to_string(low), std::to_string(high)));
  }
  return static_cast<std::int32_t>(number);
}

std::int32_t JsonSection::integer_or(const std::string& key, std::int32_t absent, std::int32_t low,
                                     std::int32_t high) const {
  return find(key) ? integer(key, low, high) : absent;
}

double JsonSection::number(const std::string& key, double low, double high) const {
  const json* value = find(key);
  const double number = value && value->is_number() ? value->get<double>() : std::nan("");
  if (!(number >= low && number <= high)) {
    fail(key, range_text("a number", shortened(low), shortened(high)));
  }
  return number;
}

double JsonSection::number_or(const std::string& key, double absent, double low, double high) const {
  return find(key) ? number(key, low, high) : absent;
}

bool JsonSection::flag_or(const std::string& key, bool absent) const {
  const json* value = find(key);
  if (!value) return absent;
  if (!value->is_boolean()) fail(key, "must be true or false");
  return value->get<bool>();
}

std::string JsonSection::text_or(const std::string& key, const std::string& absent) const {
  const json* value = find(key);
  if (!value) return absent;
  if (!value->is_string()) fail(key, "must be a string");
  return value->get<std::string>();
}

std::vector<std::int32_t> JsonSection::integers(const std::string& key, std::int32_t low,
                                                std::int32_t high) const {
  const json* value = find(key);
  if (!value) return {};
  if (!value->is_array()) return {integer(key, low, high)};
  std::vector<std::int32_t> numbers;
  for (const json& entry : *value) {
    const bool good = numbers.size() < 64 && entry.is_number_integer() && entry.get<std::int64_t>() >= low &&
                      entry.get<std::int64_t>() <= high &&
                      !(entry.is_number_unsigned() && entry.get<std::uint64_t>() > 0x7FFFFFFFu);
    if (!good) {
      fail(key, range_text("at most 64 whole numbers, each", std::to_string(low), std::to_string(high)));
    }
    numbers.push_back(entry.get<std::int32_t>());
  }
  return numbers;
}

json read_json_object(const std::string& path) {
  json object;
  try {
    object = json::parse(base::read_file(path, std::uintmax_t{16} << 20));
  } catch (const json::exception& error) {
    throw base::Error(path + ": is not JSON (" + error.what() + ")");
  }
  if (!object.is_object()) throw base::Error(path + ": must hold one JSON object");
  return object;
}

}  // namespace assize::model
