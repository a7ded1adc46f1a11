#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assize::text {

/// `ids` with the k-th `placeholder_id` written counts[k] times: a prompt names each picture once, the model
/// reads one placeholder per picture token. Throws Error when the number of placeholders is not counts.size()
/// or a count is < 1.
std::vector<std::int32_t> expand_placeholders(std::span<const std::int32_t> ids, std::int32_t placeholder_id,
                                              std::span<const std::int32_t> counts);

}  // namespace assize::text
