#include "job/reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "base/error.h"

namespace assize::job {

void Problems::raise() const {
  if (lines_.empty()) return;
  std::string text;
  for (const auto& line : lines_) text += (text.empty() ? "" : "\n") + line;
  throw base::Error(text);
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 2) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0]++;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t change = diagonal + (word[i] != candidate[j]);
        diagonal = row[j + 1];
        row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, change});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

MapReader::MapReader(const Tree* tree, const Place& parent, std::string name, Problems& problems)
    : tree_(tree), parent_(parent), name_(std::move(name)), problems_(problems) {
  if (tree_ && tree_->kind == Tree::Kind::null) tree_ = nullptr;
  if (tree_ && tree_->kind != Tree::Kind::map) {
    problems_.add(tree_->place, fmt::format("'{}' must be a map of keys", name_));
    tree_ = nullptr;
  }
}

std::string MapReader::path(std::string_view key) const {
  return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key);
}

Place MapReader::place(std::string_view key) const {
  if (!tree_) return parent_;
  const Tree* entry = tree_->find(key);
  return entry ? entry->place : tree_->place;
}

bool MapReader::has(std::string_view key) { return tree_ && tree_->find(key); }

const Tree* MapReader::take(std::string_view key) {
  known_.emplace_back(key);
  const Tree* entry = tree_ ? tree_->find(key) : nullptr;
  return entry && entry->kind != Tree::Kind::null ? entry : nullptr;
}

const std::string* MapReader::scalar(std::string_view key, const char* expected) {
  const Tree* entry = take(key);
  if (!entry) return nullptr;
  if (entry->kind != Tree::Kind::scalar) {
    problems_.add(entry->place, fmt::format("'{}' must be {}", path(key), expected));
    return nullptr;
  }
  return &entry->scalar;
}

void MapReader::get(std::string_view key, std::string& value) {
  if (const auto* text = scalar(key, "text")) value = *text;
}

void MapReader::get(std::string_view key, bool& value) {
  const int index = choice(key, {"on", "off", "true", "false", "yes", "no"});
  if (index >= 0) value = index % 2 == 0;
}

namespace {
template <class Number>
bool parse(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, value);
  return code == std::errc{} && at == end;
}
}  // namespace

void MapReader::get(std::string_view key, int& value, int low, int high) {
  const auto* text = scalar(key, "a whole number");
  if (!text) return;
  int number = 0;
  if (!parse(*text, number) || number < low || number > high) {
    problems_.add(place(key),
                  fmt::format("'{}' is '{}', it must be a whole number from {} to {}", path(key), *text, low, high));
    return;
  }
  value = number;
}

void MapReader::get(std::string_view key, std::uint64_t& value) {
  const auto* text = scalar(key, "a whole number");
  if (text && !parse(*text, value)) {
    problems_.add(place(key), fmt::format("'{}' is '{}', it must be a whole number, 0 or more", path(key), *text));
  }
}

void MapReader::get(std::string_view key, double& value, double low, double high) {
  const auto* text = scalar(key, "a number");
  if (!text) return;
  double number = 0;
  if (!parse(*text, number) || !(number >= low && number <= high)) {
    problems_.add(place(key), fmt::format("'{}' is '{}', it must be a number from {} to {}", path(key), *text, low, high));
    return;
  }
  value = number;
}

void MapReader::get(std::string_view key, std::vector<std::string>& values) {
  const Tree* entry = take(key);
  if (!entry) return;
  values.clear();
  if (entry->kind == Tree::Kind::scalar) {
    values.push_back(entry->scalar);
    return;
  }
  if (entry->kind != Tree::Kind::sequence) {
    problems_.add(entry->place, fmt::format("'{}' must be a list", path(key)));
    return;
  }
  for (const Tree& item : entry->items) {
    if (item.kind == Tree::Kind::scalar) {
      values.push_back(item.scalar);
    } else {
      problems_.add(item.place, fmt::format("'{}' must be a list of plain values", path(key)));
    }
  }
}

int MapReader::choice(std::string_view key, const std::vector<std::string_view>& allowed) {
  const auto* text = scalar(key, "one word");
  if (!text) return -1;
  const auto at = std::find(allowed.begin(), allowed.end(), *text);
  if (at != allowed.end()) return static_cast<int>(at - allowed.begin());
  problems_.add(place(key), fmt::format("'{}' is '{}', it must be one of: {}", path(key), *text, fmt::join(allowed, ", ")));
  return -1;
}

void MapReader::require(std::string_view key) {
  const Tree* entry = tree_ ? tree_->find(key) : nullptr;
  if (!entry || entry->kind == Tree::Kind::null || (entry->kind == Tree::Kind::scalar && entry->scalar.empty())) {
    problems_.add(entry ? entry->place : (tree_ ? tree_->place : parent_), fmt::format("'{}' is missing", path(key)));
  }
}

void MapReader::finish() {
  if (!tree_) return;
  for (const TreeEntry& entry : tree_->entries) {
    const std::string& key = entry.key;
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const std::string near = nearest(key, known_);
    problems_.add(entry.key_place,
                  near.empty() ? fmt::format("unknown key '{}'; known here: {}", path(key), fmt::join(known_, ", "))
                               : fmt::format("unknown key '{}'; did you mean '{}'?", path(key), path(near)));
  }
}

}  // namespace assize::job
