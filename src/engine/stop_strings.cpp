#include "engine/stop_strings.h"

#include <algorithm>

namespace assize::engine {

std::size_t end_at_stop(const std::string& text, std::size_t old_size,
                        const std::vector<std::string>& stops) {
  std::size_t end = std::string::npos;
  for (const std::string& stop : stops) {
    const std::size_t from = old_size + 1 > stop.size() ? old_size + 1 - stop.size() : 0;
    const std::size_t at = text.find(stop, from);
    if (at != std::string::npos) end = std::min(end, at + stop.size());
  }
  return end;
}

}  // namespace assize::engine
