#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "comm/comm.h"
#include "model/decoder.h"
#include "model/vision_tower.h"
#include "model/weights.h"
#include "support/tiny_models.h"
#include "tensor/safetensors.h"

namespace assize::test {

/// A tiny judge on one rank, its parts open to the test.
class TinyJudge {
 public:
  TinyJudge(const std::string& folder, comm::Comm& group, const model::ModelLimits& limits, int threads = 1)
      : TinyJudge(folder, backend::make_cpu_backend(group, {.threads = threads}), limits) {}

  TinyJudge(const std::string& folder, std::unique_ptr<backend::Backend> made, const model::ModelLimits& limits)
      : config(model::read_config(folder)),
        backend(std::move(made)),
        checkpoint_(tensor::Checkpoint::open(folder)) {
    model::Weights weights(checkpoint_, folder);
    decoder.emplace(config, weights, limits, *backend);
    if (config.vision.depth > 0) {
      tower.emplace(config.vision, weights, limits, *backend);
      embeddings = backend->allocate(limits.embedding_rows, config.hidden);
    }
  }

  model::ModelConfig config;
  std::unique_ptr<backend::Backend> backend;
  std::optional<model::Decoder> decoder;
  std::optional<model::VisionTower> tower;
  backend::Activation embeddings;

 private:
  tensor::Checkpoint checkpoint_;
};

/// The tokens of one sequence with their three-row positions, and its blocks.
struct Sequence {
  std::vector<std::int32_t> ids;
  std::vector<std::array<std::int32_t, 3>> positions;
  std::vector<std::int32_t> embedding_rows;  ///< for each token, -1 where it is text
  std::vector<std::int32_t> blocks;
  std::int32_t computed = 0;
  std::int32_t next_position = 0;

  void append(std::int32_t id) {
    ids.push_back(id);
    positions.push_back({next_position, next_position, next_position});
    embedding_rows.push_back(-1);
    ++next_position;
  }
};

/// A sequence of `ids`; placeholders take embedding rows from `first_embedding_row` on.
inline Sequence make_sequence(const model::ModelConfig& config, const std::vector<std::int32_t>& ids,
                              const std::vector<std::array<std::int32_t, 3>>& grids = {},
                              std::int32_t first_embedding_row = 0) {
  Sequence sequence;
  const auto rows = model::rope_positions(config, ids, grids, sequence.next_position);
  const std::size_t n = ids.size();
  sequence.ids = ids;
  for (std::size_t i = 0; i < n; ++i) {
    sequence.positions.push_back({rows[i], rows[n + i], rows[2 * n + i]});
    const bool picture = !grids.empty() && ids[i] == config.image_token_id;
    sequence.embedding_rows.push_back(picture ? first_embedding_row++ : -1);
  }
  return sequence;
}

/// Puts chunks of sequences into one step. Blocks come from a counter that never gives one back.
class StepBuilder {
 public:
  explicit StepBuilder(std::int32_t& next_block) : next_block_(next_block) {}

  /// The next `count` tokens of `sequence`; the last of them is sampled if `sample`.
  void add(Sequence& sequence, std::int32_t count, bool sample) {
    auto& attention = plan_.attention;
    const std::int32_t end = sequence.computed + count;
    while (static_cast<std::int32_t>(sequence.blocks.size()) * backend::kBlockTokens < end) {
      sequence.blocks.push_back(next_block_++);
    }
    attention.sequences.push_back(
        {plan_.rows(), count, sequence.computed, static_cast<std::int32_t>(attention.blocks.size())});
    attention.blocks.insert(attention.blocks.end(), sequence.blocks.begin(), sequence.blocks.end());
    for (std::int32_t i = sequence.computed; i < end; ++i) {
      const auto token = static_cast<std::size_t>(i);
      const std::int32_t source = sequence.embedding_rows[token];
      if (source >= 0) plan_.embedded.push_back({plan_.rows(), source});
      plan_.ids.push_back(source >= 0 ? -1 : sequence.ids[token]);
      for (std::size_t row = 0; row < 3; ++row) positions_[row].push_back(sequence.positions[token][row]);
      plan_.slots.push_back(sequence.blocks[token / backend::kBlockTokens] * backend::kBlockTokens +
                            i % backend::kBlockTokens);
    }
    if (sample) plan_.samples.push_back({.row = plan_.rows() - 1});
    sequence.computed = end;
  }

  model::StepPlan& plan() {
    plan_.positions.clear();
    for (const auto& row : positions_) plan_.positions.insert(plan_.positions.end(), row.begin(), row.end());
    return plan_;
  }

 private:
  std::int32_t& next_block_;
  model::StepPlan plan_;
  std::array<std::vector<std::int32_t>, 3> positions_;
};

/// Computes the rest of `sequence` in chunks of at most `chunk` tokens and returns the sample of its last
/// row.
inline backend::SampleResult advance(TinyJudge& judge, Sequence& sequence, std::int32_t& next_block,
                                     std::int32_t chunk) {
  std::vector<backend::SampleResult> results;
  while (sequence.computed < static_cast<std::int32_t>(sequence.ids.size())) {
    const std::int32_t left = static_cast<std::int32_t>(sequence.ids.size()) - sequence.computed;
    StepBuilder step(next_block);
    step.add(sequence, std::min(left, chunk), left <= chunk);
    results.assign(left <= chunk ? 1 : 0, {});
    judge.decoder->forward(step.plan(), judge.embeddings, results);
  }
  return results.at(0);
}

/// Generates `count` tokens greedily, one a step.
inline std::vector<std::int32_t> generate(TinyJudge& judge, Sequence& sequence, std::int32_t& next_block,
                                          std::int32_t chunk, int count) {
  std::vector<std::int32_t> ids;
  for (int i = 0; i < count; ++i) {
    ids.push_back(advance(judge, sequence, next_block, chunk).id);
    sequence.append(ids.back());
  }
  return ids;
}

/// Patch values of picture `index` of golden prompt `name`: `picture_rows` of tools/golden/models.py.
inline media::ImagePatches golden_picture(const std::string& name, std::size_t index,
                                          const std::array<std::int32_t, 3>& grid) {
  media::ImagePatches image;
  image.grid_t = grid[0];
  image.grid_h = grid[1];
  image.grid_w = grid[2];
  const std::string stream = "pixels:" + name + ":" + std::to_string(index);
  image.values.resize(static_cast<std::size_t>(image.rows()) * 1176);
  for (std::size_t i = 0; i < image.values.size(); ++i) {
    image.values[i] = static_cast<float>(support::tiny_normal(stream, i));
  }
  return image;
}

/// `made_up_ids` of tools/golden/models.py.
inline std::vector<std::int32_t> made_up_ids(const std::string& name, std::size_t count) {
  std::vector<std::int32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = support::tiny_normal("ids:" + name, i);
    ids[i] = static_cast<std::int32_t>((value < 0 ? -value : value) * 1000) % support::tiny_vision_start;
  }
  return ids;
}

/// Runs `work` on `ranks` threads joined to a group; an exception of any of them is thrown again.
inline void on_ranks(int ranks, const std::function<void(comm::Comm&)>& work) {
  auto group = comm::make_in_process(ranks);
  std::vector<std::exception_ptr> failures(group.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < group.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        work(*group[rank]);
      } catch (...) {
        failures[rank] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace assize::test
