#pragma once

#include "app/plan.h"

namespace assize::app {

/// Bytes in a GiB.
inline constexpr double kGibibyte = 1024.0 * 1024 * 1024;

/// Sustained floating-point operations per second that estimates assume for one core of a CPU.
inline constexpr double kFlopPerSecondPerCore = 40e9;

/// What the calls of a plan cost, estimated from file headers and text sizes. All zero for a fake judge but `calls`.
struct Cost {
  std::uint64_t calls = 0;
  double prompt_tokens = 0;   ///< of all prompts; votes share theirs
  double output_tokens = 0;   ///< 512 a call at most counted
  double flop = 0;            ///< two operations a weight and token
  double weight_bytes = 0;    ///< of one tensor-parallel rank
  double kv_bytes = 0;        ///< KV cache of one rank for the longest prompt with its answer
};

/// Reads the headers of the judge and of the plan's pictures, and tokenizes up to 32 samples a suite.
Cost estimate_cost(const Plan& plan);

}  // namespace assize::app
