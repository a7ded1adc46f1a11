#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/noise.h"
#include "engine/engine.h"
#include "model/model.h"
#include "support/tiny_models.h"

namespace assize::engine {

/// Counts calls of operator new while switched on (defined in test_allocations.cpp).
struct AllocationCounter {
  static inline bool on = false;
  static inline std::size_t count = 0;
};

/// What the fake knows of one token: a cell of its KV cache, or a step of the reference chain.
struct Cell {
  std::int32_t index = -1;  ///< which token of its sequence
  std::uint64_t input = 0;  ///< id or embedding, and position
  std::uint64_t state = 0;  ///< chain over the inputs up to here: what deeper layers would hold
};

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  return base::noise_bits(a, 0x5EED, 1) ^ (b * 0x9E3779B97F4A7C15ull + (b >> 7));
}

inline Cell next_cell(std::uint64_t& chain, std::int32_t index, std::uint64_t input) {
  chain = mix(chain, input);
  return {index, input, chain};
}

inline std::uint64_t token_input(std::int32_t id, std::int32_t t, std::int32_t h, std::int32_t w) {
  return mix(mix(mix(static_cast<std::uint64_t>(id) + 7, t), h), w);
}

inline std::uint64_t embedding_value(const media::ImagePatches& image, std::int32_t row) {
  return mix(image.key.low ^ mix(image.key.high, 3), 1000 + row);
}

/// The fake's idea of a forward pass of the last token: `summary` stands for attention over all cells.
inline void choose(std::uint64_t summary, const backend::SampleRow& row, backend::SampleResult& out) {
  std::uint64_t h = summary;
  if (row.temperature > 0) h = mix(h, base::noise_bits(row.noise_stream, row.position, 11));
  if (row.repetition_penalty != 1.0f) {
    std::uint64_t sum = row.seen_ids.size();
    for (const std::int32_t id : row.seen_ids) sum += mix(1, id);
    h = mix(h, sum);
  }
  h = mix(h, 99);
  // Mostly letters of two words that hold stop strings, some bytes of longer characters, rarely the end.
  static const std::string letters = "abcdab</>\xC3\xA9\xE2\x82\xAC\xFF";
  const std::uint64_t pick = h % 64;
  out.id = pick == 0 ? int{support::tiny_im_end}
                     : int{static_cast<std::uint8_t>(letters[(h >> 8) % letters.size()])};
  out.logprob = -static_cast<float>((h >> 20) % 1000) / 256.0f;
  out.ok = (summary >> 11) % 997 != 0;
  out.watch_logprobs.clear();
  for (const std::int32_t id : row.watch_ids)
    out.watch_logprobs.push_back(-static_cast<float>(mix(summary, id) % 100));
  out.top_logprobs.clear();
  for (int k = 0; k < row.top_logprobs; ++k) {
    out.top_logprobs.push_back({static_cast<std::int32_t>(mix(summary, k) % 512), -static_cast<float>(k)});
  }
}

/// A judge without arithmetic whose next token is a function of everything it ought to read through the block
/// tables. Checks each plan against the contract of model::StepPlan.
class FakeModel : public model::Model {
 public:
  FakeModel(std::int32_t blocks, std::int32_t step_rows, std::int32_t embedding_rows,
            std::int32_t max_positions)
      : step_rows_(step_rows),
        cells_(std::size_t(blocks) * backend::kBlockTokens),
        embeddings_(embedding_rows) {
    config_.vocab_size = 512;
    config_.max_positions = max_positions;
    config_.architecture = model::Architecture::qwen2_5_vl;
    config_.image_token_id = support::tiny_image_pad;
    fresh_.reserve(step_rows);
    written_.reserve(step_rows);
    inputs_.reserve(step_rows);
  }

  const model::ModelConfig& config() const override { return config_; }
  std::size_t weight_bytes() const override { return 0; }
  std::size_t kv_bytes() const override { return 0; }

  void encode_image(const media::ImagePatches& image, std::int32_t embedding_row) override {
    check(embedding_row >= 0 && embedding_row + image.tokens() <= std::int64_t(embeddings_.size()),
          "embedding rows");
    for (std::int32_t i = 0; i < image.tokens(); ++i)
      embeddings_[embedding_row + i] = embedding_value(image, i);
    ++encoded;
  }

  void copy_block(std::int32_t from, std::int32_t to, std::int32_t tokens) override {
    check(from != to && tokens > 0 && tokens < backend::kBlockTokens, "copy");
    for (std::int32_t i = 0; i < backend::kBlockTokens; ++i) {
      Cell& cell = cells_.at(std::size_t(to) * backend::kBlockTokens + i);
      cell = i < tokens ? cells_.at(std::size_t(from) * backend::kBlockTokens + i) : Cell{};
    }
    ++copied;
  }

  void forward(const model::StepPlan& plan, std::span<backend::SampleResult> results) override {
    const bool counting = AllocationCounter::on;
    AllocationCounter::on = false;
    check_plan(plan, results.size());
    compute(plan, results);
    AllocationCounter::on = counting;
    rows_computed += plan.rows();
    ++steps;
  }

  std::int64_t rows_computed = 0;
  std::int64_t shared_reads = 0;  ///< key reads that the hints save
  int steps = 0;
  int encoded = 0;
  int copied = 0;
  int most_samples = 0;

 private:
  static void check(bool ok, const char* what) {
    if (!ok) throw std::logic_error(std::string("bad plan: ") + what);
  }

  Cell& cell_of(const model::StepPlan& plan, const backend::AttentionSequence& s, std::int32_t token) {
    const std::int32_t block = plan.attention.blocks.at(s.block_begin + token / backend::kBlockTokens);
    return cells_.at(std::size_t(block) * backend::kBlockTokens + token % backend::kBlockTokens);
  }

  void check_plan(const model::StepPlan& plan, std::size_t results) {
    const std::int32_t rows = plan.rows();
    check(rows >= 1 && rows <= step_rows_, "rows");
    check(plan.positions.size() == std::size_t(3) * rows && plan.slots.size() == std::size_t(rows), "sizes");
    check(plan.samples.size() == results, "samples");
    most_samples = std::max(most_samples, static_cast<int>(results));
    std::int32_t next_row = 0;
    for (const auto& s : plan.attention.sequences) {
      check(s.row_begin == next_row && s.row_count >= 1, "rows of sequences");
      next_row += s.row_count;
    }
    check(next_row == rows, "rows without a sequence");
    std::set<std::int32_t> slots(plan.slots.begin(), plan.slots.end());
    check(slots.size() == std::size_t(rows), "a slot written twice in a step");
    std::set<std::int32_t> sampled, embedded;
    for (const auto& sample : plan.samples) {
      check(sample.row >= 0 && sample.row < rows && sampled.insert(sample.row).second, "sampled rows");
    }
    for (const auto& e : plan.embedded) {
      check(e.embedding_row >= 0 && e.embedding_row < std::int32_t(embeddings_.size()), "embedding row");
      check(plan.ids.at(e.row) == -1 && embedded.insert(e.row).second, "embedded rows");
    }
    check(std::count(plan.ids.begin(), plan.ids.end(), -1) == std::ptrdiff_t(embedded.size()),
          "rows without input");
    std::int32_t behind = 0;
    for (const auto& shared : plan.attention.shared) {
      check(shared.first_sequence >= behind && shared.sequence_count >= 2, "shared order");
      behind = shared.first_sequence + shared.sequence_count;
      check(behind <= std::int32_t(plan.attention.sequences.size()), "shared range");
      check(shared.shared_tokens > 0 && shared.shared_tokens % backend::kBlockTokens == 0, "shared tokens");
      shared_reads += std::int64_t(shared.sequence_count - 1) * shared.shared_tokens;
      const auto& first = plan.attention.sequences[shared.first_sequence];
      for (std::int32_t i = 0; i < shared.sequence_count; ++i) {
        const auto& s = plan.attention.sequences[shared.first_sequence + i];
        check(shared.shared_tokens <= s.context_tokens, "shared more than the context");
        for (std::int32_t b = 0; b < shared.shared_tokens / backend::kBlockTokens; ++b) {
          check(plan.attention.blocks[s.block_begin + b] == plan.attention.blocks[first.block_begin + b],
                "shared blocks");
        }
      }
    }
  }

  void compute(const model::StepPlan& plan, std::span<backend::SampleResult> results) {
    const std::int32_t rows = plan.rows();
    inputs_.assign(rows, 0);
    for (std::int32_t r = 0; r < rows; ++r) {
      inputs_[r] =
          token_input(plan.ids[r], plan.positions[r], plan.positions[rows + r], plan.positions[2 * rows + r]);
    }
    for (const auto& e : plan.embedded) {
      inputs_[e.row] = token_input(-1, plan.positions[e.row], plan.positions[rows + e.row],
                                   plan.positions[2 * rows + e.row]) ^
                       embeddings_[e.embedding_row];
    }
    // Contexts are read before anything of this step is written: they must be there from earlier steps.
    fresh_.assign(rows, {});
    written_.assign(rows, 0);
    for (const auto& s : plan.attention.sequences) {
      std::uint64_t chain = 1, summary = 1;
      for (std::int32_t token = 0; token < s.context_tokens + s.row_count; ++token) {
        const std::int32_t row = s.row_begin + token - s.context_tokens;
        if (token >= s.context_tokens) {
          check(plan.slots[row] == plan.attention.blocks.at(s.block_begin + token / backend::kBlockTokens) *
                                           backend::kBlockTokens +
                                       token % backend::kBlockTokens,
                "slot of a row");
          fresh_[row] = next_cell(chain, token, inputs_[row]);
          summary = mix(summary, fresh_[row].state);
          written_[row] = summary;
        } else {
          const Cell& cell = cell_of(plan, s, token);
          check(cell.index == token, "a context token that is not in the cache");
          chain = mix(chain, cell.input);
          summary = mix(summary, cell.state);
        }
      }
    }
    for (std::int32_t r = 0; r < rows; ++r) cells_.at(plan.slots[r]) = fresh_[r];
    for (std::size_t i = 0; i < results.size(); ++i)
      choose(written_[plan.samples[i].row], plan.samples[i], results[i]);
  }

  model::ModelConfig config_;
  std::int32_t step_rows_;
  std::vector<Cell> cells_;
  std::vector<std::uint64_t> embeddings_;
  std::vector<Cell> fresh_;
  std::vector<std::uint64_t> written_, inputs_;
};

/// The ids that the fake must generate for a call, computed without an engine, a cache or a batch.
struct Expected {
  std::vector<std::int32_t> ids;
  bool ok = true;
  double sum_logprob = 0;
  std::vector<float> watch_logprobs;
  int rounds = 0;  ///< of budget forcing
};

inline Expected expected_generation(const Call& call, std::int32_t max_positions,
                                    const std::vector<std::string>& byte_stops) {
  const model::ModelInput& input = *call.input;
  const auto n = static_cast<std::int32_t>(input.ids.size());
  std::vector<std::uint64_t> inputs(n);
  for (std::int32_t i = 0; i < n; ++i) {
    inputs[i] =
        token_input(input.ids[i], input.positions[i], input.positions[n + i], input.positions[2 * n + i]);
  }
  for (const auto& span : input.media) {
    for (std::int32_t i = span.begin_token; i < span.begin_token + span.tokens; ++i) {
      inputs[i] = token_input(-1, input.positions[i], input.positions[n + i], input.positions[2 * n + i]) ^
                  embedding_value(*span.image, i - span.begin_token);
    }
  }
  std::uint64_t chain = 1, summary = 1;
  for (std::int32_t i = 0; i < n; ++i) summary = mix(summary, next_cell(chain, i, inputs[i]).state);
  Expected out;
  std::vector<std::int32_t> seen(input.ids);
  std::string bytes;
  std::vector<std::uint64_t> summaries{summary}, chains{chain};  // before token k
  std::vector<double> logprobs;
  std::vector<std::size_t> token_of_byte;
  std::vector<std::int32_t> watch_at;  // tokens that were there when the text to watch for ended
  std::string forced;
  int draws = 0;
  for (std::int32_t k = 0;; ++k, ++draws) {
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    backend::SampleRow row;
    row.temperature = call.sampling.temperature;
    row.repetition_penalty = call.sampling.repetition_penalty;
    row.noise_stream = call.noise_stream;
    row.position = draws;
    row.seen_ids = seen;
    const bool watched = call.watch_after.empty() ? draws == 0 : !watch_at.empty() && watch_at.back() == k;
    if (watched) row.watch_ids = call.watch_ids;
    backend::SampleResult result;
    choose(summary, row, result);
    if (!result.ok) {
      out.ok = false;
      return out;
    }
    out.watch_logprobs.insert(out.watch_logprobs.end(), result.watch_logprobs.begin(), result.watch_logprobs.end());
    if (!forced.empty()) {
      result.id = static_cast<unsigned char>(forced[0]);
      result.logprob = 0;
      forced.erase(0, 1);
    }
    out.ids.push_back(result.id);
    logprobs.push_back(result.logprob);
    out.sum_logprob += result.logprob;
    seen.push_back(result.id);
    const auto& stop_ids = call.sampling.stop_ids;
    if (std::count(stop_ids.begin(), stop_ids.end(), result.id)) return out;
    if (result.id < 256) {
      bytes += static_cast<char>(result.id);
      token_of_byte.push_back(out.ids.size() - 1);
    }
    // Budget forcing: what came since the end of the thinking began is as if it had never been.
    const BudgetForcing& forcing = call.sampling.forcing;
    if (const auto begin = bytes.find(forcing.end); out.rounds < forcing.rounds && begin != std::string::npos) {
      ++out.rounds;
      const std::size_t at = token_of_byte[begin];
      forced = forcing.instead;
      bytes.resize(begin);
      token_of_byte.resize(begin);
      out.ids.resize(at);
      logprobs.resize(at);
      out.sum_logprob = 0;
      for (const double logprob : logprobs) out.sum_logprob += logprob;
      summary = summaries[at];
      chain = chains[at];
      summaries.resize(at + 1);
      chains.resize(at + 1);
      // What was watched at a token that is gone is gone; the token that comes in its place is watched again.
      while (!watch_at.empty() && watch_at.back() > static_cast<std::int32_t>(at)) watch_at.pop_back();
      if (!call.watch_after.empty()) {
        const auto still = std::count_if(watch_at.begin(), watch_at.end(), [&](std::int32_t t) { return t < static_cast<std::int32_t>(at); });
        out.watch_logprobs.resize(static_cast<std::size_t>(still) * call.watch_ids.size());
      }
      seen = input.ids;
      seen.insert(seen.end(), out.ids.begin(), out.ids.end());
      k = static_cast<std::int32_t>(at) - 1;
      continue;
    }
    const bool grown = result.id < 256 && !call.watch_after.empty();
    if (grown && bytes.ends_with(call.watch_after)) watch_at.push_back(k + 1);
    for (const std::string& stop : byte_stops) {
      if (bytes.find(stop) != std::string::npos) return out;
    }
    if (k + 1 == call.sampling.max_new_tokens || n + k + 1 >= max_positions) return out;
    const std::int32_t p = input.next_position + k;
    summary = mix(summary, next_cell(chain, n + k, token_input(result.id, p, p, p)).state);
    summaries.push_back(summary);
    chains.push_back(chain);
  }
}

}  // namespace assize::engine
