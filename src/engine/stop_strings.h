#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace assize::engine {

/// Where a text ends that grew from `old_size` bytes: right behind the first occurrence of a stop string, or
/// npos. The text before held none; an occurrence may begin there.
std::size_t end_at_stop(const std::string& text, std::size_t old_size, const std::vector<std::string>& stops);

}  // namespace assize::engine
