#include "base/ids.h"

namespace assize::base {

Hash128 digest(const CallKey& key) {
  Hasher hasher;
  hasher.add(key.judge_id).add(key.suite_id).add(key.sample_id).add(key.criterion);
  hasher.add(static_cast<std::uint64_t>(key.presentation.size()));
  for (std::uint16_t index : key.presentation) hasher.add(static_cast<std::uint64_t>(index));
  hasher.add(static_cast<std::uint64_t>(key.vote));
  return hasher.digest();
}

std::string presentation_text(const std::vector<std::uint16_t>& presentation) {
  std::string text;
  for (std::uint16_t index : presentation) {
    if (!text.empty()) text += '-';
    text += std::to_string(index);
  }
  return text;
}

}  // namespace assize::base
