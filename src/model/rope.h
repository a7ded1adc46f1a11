#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "model/json_section.h"

namespace assize::model {

/// Rotary embedding of the text decoder from either spelling of the configuration: `rope_parameters`
/// {rope_type, rope_theta, ...} or `rope_theta` beside `rope_scaling` {type or rope_type, ...}. Types:
/// default, linear, llama3, yarn, and mrope (= default with an `mrope_section`), which `multimodal` models
/// need and others must not have. Formulas: models.md 1.4 and 2.4. Throws Error naming file and key.
backend::Rope read_rope(const JsonSection& text, std::int32_t head_dim, bool multimodal, double absent_theta);

}  // namespace assize::model
