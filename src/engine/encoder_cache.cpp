#include "engine/encoder_cache.h"

#include <algorithm>
#include <stdexcept>

namespace assize::engine {

EncoderCache::Entry* EncoderCache::find(const Key& key) {
  const auto it =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  return it == entries_.end() ? nullptr : &*it;
}

void EncoderCache::add_user(const Key& key) {
  if (Entry* entry = find(key)) {
    ++entry->users;
  } else {
    entries_.push_back({key, 1});
  }
}

void EncoderCache::remove_user(const Key& key) {
  Entry* entry = find(key);
  if (entry && --entry->users == 0) entries_.erase(entries_.begin() + (entry - entries_.data()));
}

std::int32_t EncoderCache::first_row(const Key& key) const {
  const auto it =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
  if (it == entries_.end() || it->first_row < 0) throw std::logic_error("picture read before it is encoded");
  return it->first_row;
}

std::int32_t EncoderCache::find_gap(std::int32_t rows) const {
  // The first row behind an entry (or 0) from which on `rows` rows touch no entry.
  std::int32_t best = -1;
  const auto fits = [&](std::int32_t begin) {
    if (begin + rows > rows_) return false;
    return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& e) {
      return e.first_row >= 0 && e.first_row < begin + rows && begin < e.first_row + e.rows;
    });
  };
  if (fits(0)) return 0;
  for (const Entry& entry : entries_) {
    const std::int32_t begin = entry.first_row + entry.rows;
    if (entry.first_row >= 0 && (best < 0 || begin < best) && fits(begin)) best = begin;
  }
  return best;
}

std::int32_t EncoderCache::request(const Key& key, const model::MediaSpan& span, std::uint64_t step,
                                   std::vector<PictureToEncode>& to_encode) {
  Entry* entry = find(key);
  if (!entry) throw std::logic_error("picture requested without a user");
  if (entry->first_row < 0) {
    std::int32_t row = find_gap(span.tokens);
    while (row < 0) {
      Entry* victim = nullptr;
      for (Entry& other : entries_) {
        if (other.first_row < 0 || other.step == step) continue;
        if (!victim || other.users < victim->users) victim = &other;
      }
      if (!victim) return -1;
      victim->first_row = -1;
      row = find_gap(span.tokens);
    }
    entry->first_row = row;
    entry->rows = span.tokens;
    to_encode.push_back({span.image.get(), row});
  }
  entry->step = step;
  return entry->first_row;
}

}  // namespace assize::engine
