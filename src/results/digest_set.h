#pragma once

#include <cstddef>
#include <vector>

#include "base/hash.h"

namespace assize::results {

/// A set of call digests in one flat table (open addressing): at most 32 bytes a call, so that ten million
/// calls fit in 320 MB. The digest of all zeros is kept apart.
class DigestSet {
 public:
  /// True if `digest` was not there yet.
  bool insert(base::Hash128 digest);
  bool contains(base::Hash128 digest) const;
  /// True if `digest` was there.
  bool erase(base::Hash128 digest);
  std::size_t size() const { return size_ + (has_zero_ ? 1 : 0); }

 private:
  std::size_t slot(base::Hash128 digest) const;
  void grow();

  std::vector<base::Hash128> table_ = std::vector<base::Hash128>(64);
  std::size_t size_ = 0;
  bool has_zero_ = false;
};

}  // namespace assize::results
