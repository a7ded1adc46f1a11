#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/hash.h"
#include "media/patches.h"

namespace assize::model {

/// A run of placeholder tokens in a prompt that one media item fills.
struct MediaSpan {
  std::int32_t begin_token = 0;
  std::int32_t tokens = 0;
  base::Hash128 key;  ///< content and preprocessing of the item
  std::shared_ptr<const media::ImagePatches> image;
};

/// A prompt as the engine takes it.
struct ModelInput {
  std::vector<std::int32_t> ids;        ///< placeholders expanded
  std::vector<std::int32_t> positions;  ///< 3 x ids.size(): all t, all h, all w (models.md 2.5)
  std::int32_t next_position = 0;       ///< position of the first generated token on all three rows
  std::vector<MediaSpan> media;         ///< in order of begin_token
};

}  // namespace assize::model
