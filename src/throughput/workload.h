#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "job/workload_spec.h"
#include "suite/suite.h"

namespace assize::throughput {

/// Tokens of a text for the judge that is measured.
using CountTokens = std::function<std::size_t(const std::string&)>;

/// A made-up suite of pairs as `spec` says, the same for equal spec and seed. `frame_tokens`: tokens that a prompt
/// has around its texts (chat format, wording). Pictures are written to `media_folder`, each whole or not at all;
/// ones that are there already stay.
suite::Suite make_workload(const job::WorkloadSpec& spec, std::uint64_t seed, std::size_t frame_tokens,
                           const CountTokens& count_tokens, const std::filesystem::path& media_folder);

/// Tokens that a call generates: a function of its noise stream alone, from 1 to `limit`.
std::int32_t output_tokens(const job::WorkloadSpec& spec, std::uint64_t noise_stream, std::int32_t limit);

}  // namespace assize::throughput
