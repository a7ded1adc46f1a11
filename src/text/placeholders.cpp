#include "text/placeholders.h"

#include <algorithm>

#include "base/error.h"

namespace assize::text {

std::vector<std::int32_t> expand_placeholders(std::span<const std::int32_t> ids, std::int32_t placeholder_id,
                                              std::span<const std::int32_t> counts) {
  const auto found = static_cast<std::size_t>(std::count(ids.begin(), ids.end(), placeholder_id));
  if (found != counts.size()) {
    throw base::Error("the prompt has " + std::to_string(found) + " picture placeholders (token id " +
                      std::to_string(placeholder_id) + ") for " + std::to_string(counts.size()) +
                      " pictures; give one placeholder a picture");
  }
  std::vector<std::int32_t> out;
  std::size_t next = 0;
  for (const std::int32_t id : ids) {
    if (id != placeholder_id) {
      out.push_back(id);
      continue;
    }
    if (counts[next] < 1) {
      throw base::Error("picture " + std::to_string(next) + " has " + std::to_string(counts[next]) +
                        " tokens");
    }
    out.insert(out.end(), static_cast<std::size_t>(counts[next++]), placeholder_id);
  }
  return out;
}

}  // namespace assize::text
