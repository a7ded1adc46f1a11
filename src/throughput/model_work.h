#pragma once

#include <cstdint>

#include "engine/counters.h"
#include "model/config.h"

namespace assize::throughput {

/// What a judge's parts cost: two operations for each multiply-add. All zero for a judge without a model.
struct ModelWork {
  double layer_flop = 0;        ///< one row through the matrices of all layers
  double head_flop = 0;         ///< one row through the output head
  double attended_flop = 0;     ///< one row reading one key and value, all layers and heads
  double patch_flop = 0;        ///< one patch through the vision tower, windowed attention included
  double patch_pair_flop = 0;   ///< one patch looking at another in the layers of full attention
  double weight_bytes = 0;      ///< of layers and head as stored: read by every step
  double key_bytes = 0;         ///< keys and values of one token, all layers (f32)
};

/// From the configuration: norms, biases, rotary embedding and sampling are not counted.
ModelWork model_work(const model::ModelConfig& config);

/// Operations that were computed.
double computed_flop(const ModelWork& work, const engine::EngineCounters& counters);
/// Operations that the finished calls asked for, as if each had been computed alone; pictures as computed.
double asked_flop(const ModelWork& work, const engine::EngineCounters& counters);
/// Bytes that had to come from memory: all weights once a step, keys and values once a group that shares them.
double read_bytes(const ModelWork& work, const engine::EngineCounters& counters);

/// What is asked of a judge in all.
struct AskedWork {
  std::uint64_t calls = 0;
  std::uint64_t prompts = 0;                 ///< distinct
  std::uint64_t prompt_tokens = 0;           ///< of the distinct prompts
  std::uint64_t distinct_prompt_tokens = 0;  ///< with what prompts have in common at their beginning counted once
  std::uint64_t images = 0;                  ///< distinct
  std::uint64_t patches = 0;                 ///< of the distinct pictures
  std::uint64_t patch_pairs = 0;
};

/// Operations of the perfect engine: matrix products only, every common beginning of prompts computed once, every
/// picture once, and `output_tokens` drawn by `calls`, the first one of each from its prompt's own last row.
double perfect_flop(const ModelWork& work, const AskedWork& asked, std::uint64_t output_tokens);

}  // namespace assize::throughput
