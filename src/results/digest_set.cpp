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

bool DigestSet::erase(base::Hash128 digest) {
  if (digest == kEmpty) return std::exchange(has_zero_, false);
  std::size_t hole = slot(digest);
  if (table_[hole] != digest) return false;
  // Whatever was displaced over the hole moves back into it, so that every probe still finds its digest.
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = (hole + 1) & mask; table_[at] != kEmpty; at = (at + 1) & mask) {
    const std::size_t home = table_[at].low & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    table_[hole] = table_[at];
    hole = at;
  }
  table_[hole] = kEmpty;
  --size_;
  return true;
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
