#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assize::text {

/// One merge rule of BPE: the pair (left, right) becomes `merged`. Its rank is its index in the list of
/// rules.
struct MergeRule {
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t merged = 0;
};

/// Byte-pair encoding by ranked merges (Sennrich et al. 2016, as GPT-2 uses it on bytes).
class Bpe {
 public:
  /// `byte_ids`: id of each of the 256 bytes; bytes with -1 are dropped, as the reference drops characters
  /// that are not in the vocabulary (SmolLM2 has no token for 21 bytes). Of two rules for the same pair the
  /// later one counts.
  Bpe(std::span<const std::int32_t, 256> byte_ids, std::span<const MergeRule> rules);
  ~Bpe();
  Bpe(Bpe&&) noexcept;

  /// Appends the ids of one piece: repeatedly merges the adjacent pair of lowest rank, leftmost first.
  /// O(n log n); short pieces are remembered. Thread-safe.
  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

 private:
  struct Target {
    std::uint32_t rank;
    std::int32_t merged;
  };
  struct Slot {
    std::uint64_t pair = kFree;
    Target target{};
  };
  struct Cache;
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};

  const Target* find(std::int32_t left, std::int32_t right) const;
  void merge(std::string_view piece, std::vector<std::int32_t>& ids) const;

  std::vector<std::int32_t> byte_ids_;
  std::vector<Slot> slots_;  ///< open addressing, linear probing, at most half full
  std::unique_ptr<Cache> cache_;
};

}  // namespace assize::text
