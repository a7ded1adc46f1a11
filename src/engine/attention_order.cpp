#include "engine/attention_order.h"

#include <algorithm>
#include <limits>

namespace assize::engine {

using backend::kBlockTokens;

void PrefixGrouper::reserve(std::size_t sequences) {
  common_.reserve(sequences + 1);
  saved_.reserve(sequences + 1);
  first_.reserve(sequences + 1);
}

std::int32_t PrefixGrouper::shared_tokens(const AttentionWork& a, const AttentionWork& b) {
  const std::int32_t whole = std::min(a.context_tokens, b.context_tokens) / kBlockTokens;
  const auto end = std::mismatch(a.table.begin(), a.table.begin() + whole, b.table.begin()).first;
  return static_cast<std::int32_t>(end - a.table.begin()) * kBlockTokens;
}

bool PrefixGrouper::before(const AttentionWork& a, const AttentionWork& b) {
  return std::lexicographical_compare(a.table.begin(), a.table.end(), b.table.begin(), b.table.end());
}

void PrefixGrouper::group(std::span<const AttentionWork> works, std::vector<backend::SharedPrefix>& shared) {
  const auto count = static_cast<std::int32_t>(works.size());
  common_.assign(count + 1, 0);
  saved_.assign(count + 1, 0);
  first_.assign(count + 1, 0);
  for (std::int32_t i = 1; i < count; ++i) common_[i] = shared_tokens(works[i - 1], works[i]);
  for (std::int32_t end = 1; end <= count; ++end) {
    saved_[end] = saved_[end - 1];
    first_[end] = end - 1;
    std::int32_t common = std::numeric_limits<std::int32_t>::max();
    for (std::int32_t begin = end - 2; begin >= 0; --begin) {
      common = std::min(common, common_[begin + 1]);
      if (common == 0) break;
      const std::int64_t saved = saved_[begin] + std::int64_t{end - begin - 1} * common;
      if (saved > saved_[end]) {
        saved_[end] = saved;
        first_[end] = begin;
      }
    }
  }
  const std::size_t old = shared.size();
  for (std::int32_t end = count; end > 0; end = first_[end]) {
    const std::int32_t begin = first_[end];
    if (end - begin < 2) continue;
    const std::int32_t tokens = *std::min_element(common_.begin() + begin + 1, common_.begin() + end);
    shared.push_back({begin, end - begin, tokens});
  }
  std::reverse(shared.begin() + static_cast<std::ptrdiff_t>(old), shared.end());
}

}  // namespace assize::engine
