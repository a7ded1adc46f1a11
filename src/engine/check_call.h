#pragma once

#include <string>

#include "engine/engine.h"
#include "model/config.h"

namespace assize::engine {

/// What is wrong with a call that came from outside, in one line; empty when it can be computed. Whether it
/// is too long is not asked here.
std::string check_call(const Call& call, const model::ModelConfig& config, const EngineSettings& settings);

}  // namespace assize::engine
