#include <algorithm>
#include <string>

#include "base/error.h"
#include "model/config.h"

namespace assize::model {

std::vector<std::int32_t> rope_positions(const ModelConfig& config, const std::vector<std::int32_t>& ids,
                                         const std::vector<std::array<std::int32_t, 3>>& grids,
                                         std::int32_t& next_position) {
  const std::size_t n = ids.size();
  std::vector<std::int32_t> positions(3 * n);
  const auto set = [&](std::size_t i, std::int32_t t, std::int32_t h, std::int32_t w) {
    positions[i] = t;
    positions[n + i] = h;
    positions[2 * n + i] = w;
  };
  const std::int32_t merge = config.vision.merge_size;
  std::int32_t next = 0;
  std::size_t picture = 0;
  for (std::size_t i = 0; i < n;) {
    const auto at = " at token " + std::to_string(i);
    if (config.video_token_id >= 0 && ids[i] == config.video_token_id) {
      throw base::Error("prompt has a video placeholder" + at + "; videos are not supported");
    }
    if (config.image_token_id < 0 || ids[i] != config.image_token_id) {
      set(i++, next, next, next);
      ++next;
      continue;
    }
    if (i == 0 || ids[i - 1] != config.vision_start_token_id) {
      throw base::Error("prompt has an image placeholder" + at +
                        " that does not follow a vision start token");
    }
    if (picture == grids.size()) {
      throw base::Error("prompt has more image placeholders than the " + std::to_string(grids.size()) +
                        " pictures given: one" + at + " has no picture");
    }
    const auto [t, h, w] = grids[picture++];
    if (t < 1 || h < 1 || w < 1 || t > 1 << 10 || h > 1 << 14 || w > 1 << 14 || h % merge || w % merge) {
      throw base::Error("picture " + std::to_string(picture) + " has the impossible patch grid " +
                        std::to_string(t) + " x " + std::to_string(h) + " x " + std::to_string(w));
    }
    const std::int32_t rows = h / merge, columns = w / merge;
    const auto tokens =
        static_cast<std::size_t>(t) * static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
    const auto run_end = std::find_if(ids.begin() + static_cast<std::ptrdiff_t>(i), ids.end(),
                                      [&](std::int32_t id) { return id != config.image_token_id; });
    const auto run = static_cast<std::size_t>(run_end - ids.begin()) - i;
    if (run != tokens) {
      throw base::Error("picture " + std::to_string(picture) + " takes " + std::to_string(tokens) +
                        " tokens but the prompt has " + std::to_string(run) + " placeholders" + at);
    }
    for (std::int32_t frame = 0; frame < t; ++frame) {
      for (std::int32_t r = 0; r < rows; ++r) {
        // A picture is one moment in time: t stays.
        for (std::int32_t c = 0; c < columns; ++c) set(i++, next, next + r, next + c);
      }
    }
    next += std::max(rows, columns);
  }
  if (picture != grids.size()) {
    throw base::Error("prompt has placeholders for " + std::to_string(picture) + " pictures but " +
                      std::to_string(grids.size()) + " were given");
  }
  next_position = next;
  return positions;
}

}  // namespace assize::model
