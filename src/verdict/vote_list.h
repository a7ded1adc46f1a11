#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "verdict/combine.h"

namespace assize::verdict {

/// The votes of a sample for keeping: about 35 bytes a vote of a pair, where a Vote with its texts and lists takes 200,
/// so that the votes of millions of samples fit in memory. Every field comes back as it was, to the bit.
class VoteList {
 public:
  VoteList() = default;
  explicit VoteList(std::span<const Vote> votes);

  void add(const Vote& vote);
  std::vector<Vote> unpacked() const;  ///< in the order in which they were added
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint32_t size_ = 0;
};

}  // namespace assize::verdict
