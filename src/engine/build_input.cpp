#include "engine/build_input.h"

#include <array>

#include "base/error.h"
#include "text/placeholders.h"

namespace assize::engine {

model::ModelInput build_input(const model::ModelConfig& config, const text::Tokenizer& tokenizer,
                              const text::PromptText& prompt, const Pictures& pictures) {
  return build_input(config, tokenizer.encode(prompt), pictures);
}

model::ModelInput build_input(const model::ModelConfig& config, const std::vector<std::int32_t>& ids,
                              const Pictures& pictures) {
  if (!pictures.empty() && config.vision.depth == 0) {
    throw base::Error("the prompt has pictures, this judge takes none: use a judge with a vision tower");
  }
  std::vector<std::int32_t> counts;
  std::vector<std::array<std::int32_t, 3>> grids;
  for (const auto& picture : pictures) {
    counts.push_back(static_cast<std::int32_t>(picture->tokens()));
    grids.push_back({picture->grid_t, picture->grid_h, picture->grid_w});
  }
  model::ModelInput input;
  input.ids = config.image_token_id < 0 ? ids : text::expand_placeholders(ids, config.image_token_id, counts);
  input.positions = model::rope_positions(config, input.ids, grids, input.next_position);
  std::int32_t at = 0;
  for (const auto& picture : pictures) {
    while (input.ids[at] != config.image_token_id) ++at;
    const auto tokens = static_cast<std::int32_t>(picture->tokens());
    input.media.push_back({at, tokens, picture->key, picture});
    at += tokens;
  }
  return input;
}

}  // namespace assize::engine
