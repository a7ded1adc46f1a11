#include "backend/cpu_attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace assize::backend {

void QueryTiles::clear() {
  tokens.clear();
  tiles.clear();
}

void QueryTiles::cut(std::int32_t begin, std::int32_t tile_tokens) {
  const auto end = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t first = begin; first < end; first += tile_tokens)
    tiles.push_back({first, std::min(end, first + tile_tokens)});
}

void plan_causal(const AttentionPlan& plan, std::int32_t group, std::int32_t wanted_tiles,
                 QueryTiles& tiles) {
  tiles.clear();
  std::int32_t query_tokens = 0;
  for (const auto& sequence : plan.sequences) query_tokens += sequence.row_count;
  const std::int32_t tile_tokens =
      std::max(1, std::min(kernels::kMaxAttentionRows / group, query_tokens / std::max(1, wanted_tiles)));
  const auto sequence_count = static_cast<std::int32_t>(plan.sequences.size());
  std::size_t next_shared = 0;
  for (std::int32_t s = 0; s < sequence_count;) {
    while (next_shared < plan.shared.size() && plan.shared[next_shared].first_sequence < s) ++next_shared;
    const bool shares = next_shared < plan.shared.size() && plan.shared[next_shared].first_sequence == s &&
                        plan.shared[next_shared].shared_tokens >= kBlockTokens;
    const std::int32_t stop = shares ? s + plan.shared[next_shared].sequence_count : s + 1;
    const auto begin = static_cast<std::int32_t>(tiles.tokens.size());
    for (std::int32_t i = s; shares && i < stop; ++i) {
      const auto& sequence = plan.sequences[static_cast<std::size_t>(i)];
      if (sequence.row_count == 1)
        tiles.tokens.push_back(
            {sequence.row_begin, sequence.context_tokens + 1, plan.blocks.data() + sequence.block_begin});
    }
    std::sort(tiles.tokens.begin() + begin, tiles.tokens.end(), [](const QueryToken& a, const QueryToken& b) {
      return a.keys != b.keys ? a.keys > b.keys : a.row < b.row;
    });
    tiles.cut(begin, tile_tokens);
    for (std::int32_t i = s; i < stop; ++i) {
      const auto& sequence = plan.sequences[static_cast<std::size_t>(i)];
      if (shares && sequence.row_count == 1) continue;
      const auto first = static_cast<std::int32_t>(tiles.tokens.size());
      for (std::int32_t r = sequence.row_count - 1; r >= 0; --r)
        tiles.tokens.push_back({sequence.row_begin + r, sequence.context_tokens + r + 1,
                                plan.blocks.data() + sequence.block_begin});
      tiles.cut(first, tile_tokens);
    }
    s = stop;
  }
}

std::int32_t plan_segments(std::span<const std::int32_t> segment_ends, std::vector<std::int32_t>& slots,
                           std::vector<std::int32_t>& blocks, QueryTiles& tiles) {
  slots.clear();
  std::int32_t block_count = 0, begin = 0;
  for (const std::int32_t end : segment_ends) {
    for (std::int32_t r = begin; r < end; ++r) slots.push_back(block_count * kBlockTokens + (r - begin));
    block_count += (end - begin + kBlockTokens - 1) / kBlockTokens;
    begin = end;
  }
  blocks.resize(static_cast<std::size_t>(block_count));
  std::iota(blocks.begin(), blocks.end(), 0);
  tiles.clear();
  begin = 0;
  for (const std::int32_t end : segment_ends) {
    const auto first = static_cast<std::int32_t>(tiles.tokens.size());
    for (std::int32_t r = begin; r < end; ++r)
      tiles.tokens.push_back(
          {r, end - begin, blocks.data() + slots[static_cast<std::size_t>(begin)] / kBlockTokens});
    tiles.cut(first, kernels::kMaxAttentionRows);
    begin = end;
  }
  return block_count;
}

void run_attention(kernels::InstructionSet set, const QueryTiles& tiles, const AttentionShape& shape,
                   const CpuKvCache& cache, std::int32_t layer, Buffer& scratch, ThreadPool& pool) {
  const std::int32_t group = shape.heads / shape.kv_heads;
  const auto dim = static_cast<std::size_t>(shape.head_dim);
  const float* layer_data = cache.layer_data(layer);
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  const int tasks = static_cast<int>(tiles.tiles.size()) * shape.kv_heads;
  pool.run(tasks, [&](int index, int thread) {
    const auto& tile = tiles.tiles[static_cast<std::size_t>(index / shape.kv_heads)];
    const auto kv_head = static_cast<std::size_t>(index % shape.kv_heads);
    kernels::AttentionRow rows[kernels::kMaxAttentionRows];
    kernels::AttentionTask task;
    task.cache = layer_data + kv_head * kernels::kv_block_floats(shape.head_dim);
    task.block_stride = cache.block_floats();
    task.head_dim = shape.head_dim;
    task.scale = scale;
    task.rows = rows;
    // Threads mostly take tasks in turns.
    if (const int next = index + pool.threads(); next < tasks) {
      const auto& first = tiles.tiles[static_cast<std::size_t>(next / shape.kv_heads)];
      task.after = layer_data + static_cast<std::size_t>(next % shape.kv_heads) * kernels::kv_block_floats(shape.head_dim) +
                   static_cast<std::size_t>(tiles.tokens[static_cast<std::size_t>(first.begin)].blocks[0]) * cache.block_floats();
    }
    // A group wider than a task's rows is cut; for the usual groups this loop runs once.
    for (std::int32_t g0 = 0; g0 < group; g0 += kernels::kMaxAttentionRows) {
      const std::int32_t g1 = std::min(group, g0 + kernels::kMaxAttentionRows);
      task.row_count = 0;
      for (std::int32_t t = tile.begin; t < tile.end; ++t) {
        const auto& token = tiles.tokens[static_cast<std::size_t>(t)];
        for (std::int32_t g = g0; g < g1; ++g) {
          const std::size_t head =
              (kv_head * static_cast<std::size_t>(group) + static_cast<std::size_t>(g)) * dim;
          const auto row = static_cast<std::size_t>(token.row);
          rows[task.row_count++] = {shape.q + row * shape.q_stride + head,
                                    shape.out + row * shape.out_stride + head, token.blocks, token.keys};
        }
      }
      kernels::attention(
          set, task, scratch.floats() + static_cast<std::size_t>(thread) * kernels::kAttentionScratchFloats);
    }
  });
}

}  // namespace assize::backend
