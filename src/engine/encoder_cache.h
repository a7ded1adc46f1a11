#pragma once

#include <cstdint>
#include <vector>

#include "model/model_input.h"

namespace assize::engine {

/// A picture that must be encoded before the rows of a step are computed.
struct PictureToEncode {
  const media::ImagePatches* image = nullptr;
  std::int32_t embedding_row = 0;
};

/// Which embedding rows of the model hold which pictures. An entry stays while calls that will need it are
/// known; under pressure entries that this step does not read make way and are encoded again later.
class EncoderCache {
 public:
  /// What one entry stands for: the content, or (cache switched off) the content for one call.
  struct Key {
    base::Hash128 content;
    std::uint64_t owner = 0;
    bool operator==(const Key&) const = default;
  };

  explicit EncoderCache(std::int32_t rows) : rows_(rows) {}

  /// One more, or one less, call that will need the picture. Without users its rows are free.
  void add_user(const Key& key);
  void remove_user(const Key& key);

  /// First embedding row of the picture (one with users), which is kept for step `step`; when it is not in
  /// the cache its encoding is appended to `to_encode`. -1 when there is no room in this step.
  std::int32_t request(const Key& key, const model::MediaSpan& span, std::uint64_t step,
                       std::vector<PictureToEncode>& to_encode);

  /// First embedding row of a picture that `request` has given one.
  std::int32_t first_row(const Key& key) const;

 private:
  struct Entry {
    Key key;
    std::int32_t users = 0;
    std::int32_t first_row = -1;  ///< -1: not encoded
    std::int32_t rows = 0;
    std::uint64_t step = 0;  ///< last step that reads it
  };
  Entry* find(const Key& key);
  std::int32_t find_gap(std::int32_t rows) const;

  std::int32_t rows_;
  std::vector<Entry> entries_;
};

}  // namespace assize::engine
