#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/config.h"
#include "model/model_input.h"
#include "text/tokenizer.h"

namespace assize::engine {

/// The pictures of a prompt, in order of their placeholders.
using Pictures = std::vector<std::shared_ptr<const media::ImagePatches>>;

/// A prompt as the engine takes it: encoded, the placeholder of each picture written once for each of its
/// tokens, with three-row positions and media spans. Throws Error in one line: the judge takes no pictures,
/// or the prompt does not have one placeholder for each picture.
model::ModelInput build_input(const model::ModelConfig& config, const text::Tokenizer& tokenizer,
                              const text::PromptText& prompt, const Pictures& pictures);
/// The same from ids with one placeholder for each picture.
model::ModelInput build_input(const model::ModelConfig& config, const std::vector<std::int32_t>& ids,
                              const Pictures& pictures);

}  // namespace assize::engine
