#include "text/bpe.h"

#include <array>
#include <bit>
#include <mutex>
#include <queue>
#include <unordered_map>

#include "base/hash.h"

namespace assize::text {

namespace {

constexpr std::size_t kCachedPieceBytes = 64;
constexpr std::size_t kCachedPiecesPerShard = 8192;

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

std::size_t slot_hash(std::uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15ull;
  return static_cast<std::size_t>(pair ^ (pair >> 29));
}

struct PieceHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view piece) const { return base::hash64(piece); }
};

}  // namespace

// Ids of pieces seen before. Filled until full, never emptied: words are Zipf-distributed, so the first ones
// stay useful.
struct Bpe::Cache {
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<std::int32_t>, PieceHash, std::equal_to<>> ids_of;
  };
  std::array<Shard, 16> shards;
  Shard& shard_of(std::string_view piece) { return shards[base::hash64(piece) >> 60]; }
};

Bpe::Bpe(std::span<const std::int32_t, 256> byte_ids, std::span<const MergeRule> rules)
    : byte_ids_(byte_ids.begin(), byte_ids.end()),
      slots_(std::bit_ceil(2 * rules.size() + 2)),
      cache_(std::make_unique<Cache>()) {
  for (std::size_t rank = 0; rank < rules.size(); ++rank) {
    const std::uint64_t pair = pair_of(rules[rank].left, rules[rank].right);
    std::size_t i = slot_hash(pair) & (slots_.size() - 1);
    while (slots_[i].pair != kFree && slots_[i].pair != pair) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {pair, {static_cast<std::uint32_t>(rank), rules[rank].merged}};
  }
}

Bpe::~Bpe() = default;
Bpe::Bpe(Bpe&&) noexcept = default;

const Bpe::Target* Bpe::find(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair = pair_of(left, right);
  for (std::size_t i = slot_hash(pair) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].pair == pair) return &slots_[i].target;
    if (slots_[i].pair == kFree) return nullptr;
  }
}

void Bpe::merge(std::string_view piece, std::vector<std::int32_t>& ids) const {
  struct Symbol {
    std::int32_t id;
    std::int32_t previous;  // -1: none
    std::int32_t next;      // -1: none
    bool merged_away;
  };
  struct Candidate {
    std::uint32_t rank;
    std::int32_t position;  // of the left symbol
    std::int32_t merged;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (const char byte : piece) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    const auto i = static_cast<std::int32_t>(symbols.size());
    if (id >= 0) symbols.push_back({id, i - 1, i + 1, false});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;
  std::vector<Candidate> heap;
  heap.reserve(symbols.size());
  for (std::int32_t i = 1; i < static_cast<std::int32_t>(symbols.size()); ++i) {
    if (const Target* target = find(symbols[i - 1].id, symbols[i].id)) {
      heap.push_back({target->rank, i - 1, target->merged});
    }
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{},
                                                                               std::move(heap));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.position];
    if (left.merged_away || left.next < 0) continue;
    Symbol& right = symbols[left.next];
    // The pair may have changed since it was queued. The reference compares the result of the merge.
    const Target* now = find(left.id, right.id);
    if (!now || now->merged != best.merged) continue;
    left.id = best.merged;
    right.merged_away = true;
    left.next = right.next;
    if (right.next >= 0) symbols[right.next].previous = best.position;
    if (left.previous >= 0) {
      if (const Target* target = find(symbols[left.previous].id, left.id)) {
        queue.push({target->rank, left.previous, target->merged});
      }
    }
    if (left.next >= 0) {
      if (const Target* target = find(left.id, symbols[left.next].id)) {
        queue.push({target->rank, best.position, target->merged});
      }
    }
  }
  for (std::int32_t i = 0; i >= 0; i = symbols[i].next) ids.push_back(symbols[i].id);
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.size() > kCachedPieceBytes) return merge(piece, ids);
  Cache::Shard& shard = cache_->shard_of(piece);
  {
    const std::lock_guard lock(shard.mutex);
    const auto hit = shard.ids_of.find(piece);
    if (hit != shard.ids_of.end()) {
      ids.insert(ids.end(), hit->second.begin(), hit->second.end());
      return;
    }
  }
  const std::size_t before = ids.size();
  merge(piece, ids);
  const std::lock_guard lock(shard.mutex);
  if (shard.ids_of.size() < kCachedPiecesPerShard) {
    shard.ids_of.try_emplace(std::string(piece), ids.begin() + static_cast<std::ptrdiff_t>(before),
                             ids.end());
  }
}

}  // namespace assize::text
