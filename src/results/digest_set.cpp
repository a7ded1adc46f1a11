#include "results/digest_set.h"

#include <utility>

namespace assize::results {

namespace {
constexpr base::Hash128 kEmpty{};
}

bool DigestSet::insert(base::Hash128 digest) {
  if (digest == kEmpty) return !std::exchange(has_zero_, true);
  if ((size_ + 1) * 4 > table_.size() * 3) grow();
  base::Hash128& place = table_[slot(digest)];
  if (place == digest) return false;
  place = digest;
  ++size_;
  return true;
}

bool DigestSet::contains(base::Hash128 digest) const {
  return digest == kEmpty ? has_zero_ : table_[slot(digest)] == digest;
}

/// Where `digest` is, or the free slot where it belongs.
std::size_t DigestSet::slot(base::Hash128 digest) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = digest.low & mask;
  while (table_[at] != kEmpty && table_[at] != digest) at = (at + 1) & mask;
  return at;
}

void DigestSet::grow() {
  std::vector<base::Hash128> old(table_.size() * 2);
  old.swap(table_);
  for (const base::Hash128& digest : old) {
    if (digest != kEmpty) table_[slot(digest)] = digest;
  }
}

}  // namespace assize::results
