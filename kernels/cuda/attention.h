#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cuda/rope.h"
#include "kernels/cuda/types.h"

namespace assize::kernels::cuda {

// Two kernels from one description: prefill puts query rows on the M side of the tensor cores, decode puts
// keys there and up to six tiles of eight query heads on the N side. Both take keys in tiles of 64, chunks
// of kChunkTokens at absolute positions, and merge chunks in order; a row's arithmetic is its own: the same
// bits from either kernel, alone or in any company (an emulated and a device test hold this).
//
// A plan is made on the host (plan_attention), its arrays are copied to the device, and the launches take the
// same arrays as device pointers.

/// Query heads of one token that share a kv head are taken eight at a time.
inline constexpr int kDecodeHeads = 8;
/// Column tiles of one decode item at most.
inline constexpr int kDecodeColumns = 6;
/// Flat query rows (token * group + head in the group) of one prefill item.
inline constexpr int kPrefillRows = 64;

/// Query rows of one sequence: rows [row_begin, row_begin + row_count) of the step are the tokens at
/// positions context_tokens ...; its blocks are blocks[block_begin ...].
struct SequenceRows {
  std::int32_t row_begin = 0;
  std::int32_t row_count = 0;
  std::int32_t context_tokens = 0;
  std::int32_t block_begin = 0;
  bool operator==(const SequenceRows&) const = default;
};

/// Consecutive sequences whose first `shared_tokens` tokens (a multiple of kBlockTokens) lie in the same
/// blocks.
struct SharedRows {
  std::int32_t first_sequence = 0;
  std::int32_t sequence_count = 0;
  std::int32_t shared_tokens = 0;
  bool operator==(const SharedRows&) const = default;
};

/// Flat rows [flat_begin, flat_begin + kPrefillRows) of one sequence, over all keys they see.
struct PrefillItem {
  std::int32_t row_begin = 0;  ///< of the sequence
  std::int32_t row_count = 0;  ///< of the sequence
  std::int32_t flat_begin = 0;
  std::int32_t context_tokens = 0;
  std::int32_t block_begin = 0;
};

/// One token and up to eight of the query heads that share a kv head.
struct DecodeColumn {
  std::int32_t row = 0;
  std::int32_t keys = 0;  ///< it sees keys [0, keys)
  std::int32_t block_begin = 0;
  std::int32_t head_begin = 0;     ///< first head within its group
  std::int32_t partial_begin = 0;  ///< its partial result of chunk c has number partial_begin + c
};

/// Columns over one chunk of keys. The first `shared_blocks` blocks of the chunk are the same for all columns
/// and are read once.
struct DecodeItem {
  std::int32_t column_begin = 0;
  std::int32_t column_count = 0;
  std::int32_t chunk = 0;
  std::int32_t shared_blocks = 0;
};

/// The work of one step, in host memory.
struct AttentionWork {
  std::vector<PrefillItem> prefill;
  std::vector<DecodeColumn> columns;
  std::vector<DecodeItem> decode;
  std::int32_t partials = 0;     ///< partial results per kv head
  std::int32_t max_columns = 0;  ///< of an item of `decode`

  /// Columns [begin, end), whose first `shared_tokens` tokens lie in the same blocks.
  struct Run {
    std::int32_t begin = 0, end = 0, shared_tokens = 0;
  };
  std::vector<Run> runs;
};

/// Plans sequences with `group` = heads / kv_heads query heads per kv head. Sequences of one row go to
/// decode, longer ones to prefill. `shared` is a hint. Columns that share keys are taken kDecodeColumns at a
/// time, or fewer, and the keys read more often, until there are `wanted_items` items: that changes no bits.
/// Clears and refills `work`.
void plan_attention(std::span<const SequenceRows> sequences, std::span<const SharedRows> shared, int group,
                    int wanted_items, AttentionWork& work);

/// Decode items that keep the multiprocessors of the largest GPU busy, two blocks on each.
inline int wanted_items(int kv_heads) { return 2 * 132 / kv_heads; }

/// Plans encoder attention: segments [ends[i - 1], ends[i]).
void plan_segments(std::span<const std::int32_t> segment_ends, std::vector<PrefillItem>& items);

/// f32 values of workspace that decode and merge need.
std::int64_t decode_workspace_floats(std::int32_t partials, int kv_heads, int head_dim);

/// Device pointers of one step. q of (row, head) is at q + row * q_stride + head * head_dim, out alike.
/// head_dim is 64, 80 or 128; scale 1 / sqrt(head_dim). Strides are multiples of 8 values.
struct AttentionArrays {
  const Bf16* q = nullptr;
  std::int64_t q_stride = 0;
  Bf16* out = nullptr;
  std::int64_t out_stride = 0;
  int heads = 0;
  KvLayer cache;
  const std::int32_t* blocks = nullptr;
};

/// Causal attention of the prefill items.
Status attention_prefill(const AttentionArrays& arrays, const PrefillItem* items, int item_count,
                         Stream stream);

/// Attention of the decode items into partial results in `workspace`, then the merge into out.
Status attention_decode(const AttentionArrays& arrays, const DecodeColumn* columns, int column_count,
                        const DecodeItem* items, int item_count, int max_columns, std::int32_t partials,
                        float* workspace, Stream stream);

/// Bidirectional attention inside segments; qkv [rows, 3 * heads * head_dim] = q | k | v (already rotated);
/// out [rows, heads * head_dim]. head_dim is 64, 80 or 128; scale 1 / sqrt(head_dim).
Status attention_segments(const Bf16* qkv, int heads, int head_dim, const PrefillItem* items, int item_count,
                          Bf16* out, Stream stream);

}  // namespace assize::kernels::cuda
