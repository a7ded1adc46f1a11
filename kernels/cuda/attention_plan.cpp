#include <algorithm>

#include "kernels/cuda/attention.h"

namespace assize::kernels::cuda {

namespace {

/// Items of a run, `limit` columns or fewer in each, as evenly as they go.
void add_items(const AttentionWork::Run& run, std::int32_t limit, AttentionWork& work) {
  const std::int32_t all = run.end - run.begin, parts = (all + limit - 1) / limit;
  for (std::int32_t part = 0; part < parts; ++part) {
    const std::int32_t first = run.begin + all * part / parts, count = run.begin + all * (part + 1) / parts - first;
    // Columns with fewer chunks than others stay in the items of their last chunk at most: an item holds the
    // columns that have keys in its chunk, and those are cut into runs of neighbours.
    std::int32_t most = 0;
    for (std::int32_t c = first; c < first + count; ++c)
      most = std::max(most, work.columns[static_cast<std::size_t>(c)].keys);
    for (std::int32_t chunk = 0; chunk * kChunkTokens < most; ++chunk) {
      const std::int32_t chunk_begin = chunk * kChunkTokens;
      const std::int32_t shared = std::clamp((run.shared_tokens - chunk_begin) / kBlockTokens, std::int32_t{0},
                                             std::int32_t{kChunkBlocks});
      const auto has_keys = [&](std::int32_t c) {
        return work.columns[static_cast<std::size_t>(c)].keys > chunk_begin;
      };
      for (std::int32_t c = first; c < first + count;) {
        if (!has_keys(c)) {
          ++c;
          continue;
        }
        // Without shared blocks a column has an item of its own: more blocks in flight.
        std::int32_t stop = c + 1;
        while (shared > 0 && stop < first + count && has_keys(stop)) ++stop;
        work.decode.push_back({c, stop - c, chunk, shared});
        work.max_columns = std::max(work.max_columns, stop - c);
        c = stop;
      }
    }
  }
}

void plan_items(std::int32_t limit, AttentionWork& work) {
  work.decode.clear();
  work.max_columns = 0;
  for (const AttentionWork::Run& run : work.runs) add_items(run, limit, work);
}

}  // namespace

void plan_attention(std::span<const SequenceRows> sequences, std::span<const SharedRows> shared, int group,
                    int wanted_items, AttentionWork& work) {
  work.prefill.clear();
  work.columns.clear();
  work.runs.clear();
  work.partials = 0;
  const auto count = static_cast<std::int32_t>(sequences.size());
  std::size_t next = 0;
  for (std::int32_t s = 0; s < count;) {
    while (next < shared.size() && shared[next].first_sequence < s) ++next;
    std::int32_t stop = s + 1, shared_tokens = 0;
    if (next < shared.size() && shared[next].first_sequence == s && shared[next].sequence_count > 1) {
      stop = std::min(count, s + shared[next].sequence_count);
      shared_tokens = shared[next].shared_tokens;
    }
    const auto begin = static_cast<std::int32_t>(work.columns.size());
    for (; s < stop; ++s) {
      const SequenceRows& sequence = sequences[static_cast<std::size_t>(s)];
      if (sequence.row_count == 1) {
        const std::int32_t keys = sequence.context_tokens + 1;
        for (std::int32_t head = 0; head < group; head += kDecodeHeads) {
          work.columns.push_back({sequence.row_begin, keys, sequence.block_begin, head, work.partials});
          work.partials += (keys + kChunkTokens - 1) / kChunkTokens;
        }
        continue;
      }
      // Those that see most keys first, so that no long one is left for the end.
      const std::int32_t rows = sequence.row_count * group;
      for (std::int32_t flat = (rows - 1) / kPrefillRows * kPrefillRows; flat >= 0; flat -= kPrefillRows)
        work.prefill.push_back(
            {sequence.row_begin, sequence.row_count, flat, sequence.context_tokens, sequence.block_begin});
    }
    const auto end = static_cast<std::int32_t>(work.columns.size());
    // Heads of one token beyond the first eight share all their blocks even where no prefix is shared.
    if (shared_tokens == 0 && end - begin > 1)
      shared_tokens = work.columns[static_cast<std::size_t>(begin)].keys;
    if (begin < end) work.runs.push_back({begin, end, shared_tokens});
  }
  plan_items(kDecodeColumns, work);
  while (work.max_columns > 1 && static_cast<int>(work.decode.size()) < wanted_items) plan_items(work.max_columns / 2, work);
}

void plan_segments(std::span<const std::int32_t> segment_ends, std::vector<PrefillItem>& items) {
  items.clear();
  std::int32_t begin = 0;
  for (const std::int32_t end : segment_ends) {
    for (std::int32_t flat = 0; flat < end - begin; flat += kPrefillRows)
      items.push_back({begin, end - begin, flat, 0, 0});
    begin = end;
  }
}

std::int64_t decode_workspace_floats(std::int32_t partials, int kv_heads, int head_dim) {
  return std::int64_t{partials} * kv_heads * kDecodeHeads * (head_dim + 2);
}

}  // namespace assize::kernels::cuda
