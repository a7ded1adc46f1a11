#include <algorithm>
#include <cstring>

#include "backend/backend.h"
#include "backend/buffer.h"
#include "backend/cpu_attention.h"
#include "backend/cpu_product.h"
#include "backend/cpu_sampler.h"
#include "backend/cpu_weights.h"
#include "backend/rope_table.h"
#include "backend/split.h"
#include "backend/thread_pool.h"
#include "base/error.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/elementwise.h"
#include "kernels/cpu/linear.h"

namespace assize::backend {

namespace {

using kernels::InstructionSet;

/// Most rows of one task of an elementwise operation.
constexpr std::size_t kRowsPerTask = 8;
constexpr auto kGateRows = static_cast<std::int64_t>(kernels::kGateColumns);

InstructionSet choose_instruction_set(const std::string& wanted) {
  if (!kernels::cpu_has(InstructionSet::avx2))
    throw base::Error("this CPU has no AVX2 and FMA, which the CPU backend needs; run on a newer machine",
                      base::ErrorKind::failed);
  if (wanted == "avx2") return InstructionSet::avx2;
  if (wanted == "avx512") {
    if (kernels::cpu_has(InstructionSet::avx512)) return InstructionSet::avx512;
    throw base::Error(
        "instruction set avx512 was asked for, but this CPU has no AVX-512 F, BW, DQ and VL; use avx2");
  }
  if (!wanted.empty()) throw base::Error("instruction set '" + wanted + "' is unknown; use avx2 or avx512");
  return kernels::cpu_has(InstructionSet::avx512) ? InstructionSet::avx512 : InstructionSet::avx2;
}

float* floats(Activation x) { return static_cast<float*>(x.data); }

float* row_of(Activation x, std::int64_t row) { return floats(x) + row * x.cols; }

class CpuBackend final : public Backend {
 public:
  CpuBackend(comm::Comm& group, const CpuSettings& settings)
      : group_(group),
        set_(choose_instruction_set(settings.instruction_set)),
        pool_(settings.threads > 0 ? settings.threads : std::max(1, usable_cores() / group.size())),
        product_(set_, pool_),
        sampler_(set_, group, pool_),
        attention_scratch_(static_cast<std::size_t>(pool_.threads()) * kernels::kAttentionScratchFloats *
                           sizeof(float)) {}

  std::string name() const override {
    return std::string("cpu ") + (set_ == InstructionSet::avx512 ? "avx512" : "avx2") + " f32, " +
           std::to_string(pool_.threads()) + (pool_.threads() == 1 ? " thread" : " threads");
  }
  const comm::Comm& group() const override { return group_; }
  std::size_t value_bytes() const override { return sizeof(float); }
  std::size_t memory_bytes() const override { return 0; }

  Activation allocate(std::int64_t rows, std::int32_t cols) override {
    activations_.emplace_back(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) *
                              sizeof(float));
    return {activations_.back().data(), cols};
  }

  std::unique_ptr<KvCache> make_kv_cache(std::int32_t blocks, std::int32_t layers, std::int32_t kv_heads,
                                         std::int32_t head_dim) override {
    if (head_dim % 16 != 0 || head_dim < 16 || head_dim > kernels::kMaxHeadDim)
      throw base::Error("head_dim " + std::to_string(head_dim) +
                        " is not supported by the CPU backend; it must be a multiple of 16, at most 256");
    auto cache = std::make_unique<CpuKvCache>();
    cache->blocks = blocks;
    cache->layers = layers;
    cache->kv_heads = kv_heads;
    cache->head_dim = head_dim;
    cache->bytes = static_cast<std::size_t>(blocks) * static_cast<std::size_t>(layers) *
                   cache->block_floats() * sizeof(float);
    cache->memory = Buffer(cache->bytes);
    return cache;
  }

  std::unique_ptr<Linear> pack_columns(std::span<const LinearPart> parts) override {
    return pack_panels(parts, 0, whole(*parts.front().weight), pool_, arena_);
  }

  std::unique_ptr<Linear> pack_gated(const LinearPart& gate, const LinearPart& up) override {
    std::vector<LinearPart> parts;  // alternate as kernels::swiglu takes them
    for (std::int64_t first = 0; first < gate.row_end - gate.row_begin; first += kGateRows)
      for (LinearPart part : {gate, up}) {
        part.row_begin += first;
        part.row_end = std::min(part.row_end, part.row_begin + kGateRows);
        parts.push_back(part);
      }
    return pack_columns(parts);
  }

  std::unique_ptr<Linear> pack_rows(const tensor::TensorView& weight,
                                    const tensor::TensorView* bias) override {
    const std::int64_t in = weight.shape.size() == 2 ? weight.shape[1] : 0;
    kernels::Segments quarters;
    quarters.count = 4 / group_.size();
    const int first = group_.rank() * quarters.count;
    for (int s = 0; s < quarters.count; ++s)
      quarters.length[s] =
          static_cast<std::int32_t>(quarter_bound(in, first + s + 1) - quarter_bound(in, first + s));
    const LinearPart part{&weight, bias, 0, weight.shape.empty() ? 0 : weight.shape[0]};
    auto linear = pack_panels({&part, 1}, quarter_bound(in, first), quarters, pool_, arena_);
    linear->row_split = true;
    return linear;
  }

  std::unique_ptr<Vector> upload_vector(const tensor::TensorView& values) override {
    auto vector = std::make_unique<CpuVector>();
    vector->values = Buffer(values.elements() * sizeof(float));
    tensor::copy_f32(values, 0, values.elements(), vector->values.floats());
    return vector;
  }

  std::unique_ptr<Linear> make_embedding(const tensor::TensorView& table) override {
    auto embedding = std::make_unique<CpuEmbedding>();
    embedding->table = table;
    embedding->in_features = static_cast<std::int32_t>(table.shape.at(0));
    embedding->out_features = static_cast<std::int32_t>(table.shape.at(1));
    return embedding;
  }

  std::unique_ptr<Linear> pack_head(const tensor::TensorView& table) override {
    const std::int64_t vocab = table.shape.empty() ? 0 : table.shape[0];
    if (vocab < 4)
      throw base::Error("tensor " + table.name + " has shape " + tensor::shape_text(table.shape) +
                        "; an output head of at least 4 rows is needed");
    const ShardRange own = shard_range(vocab, group_.rank(), group_.size());
    const LinearPart part{&table, nullptr, own.begin, own.end};
    auto head = pack_panels({&part, 1}, 0, whole(table), pool_, arena_);
    head->vocab = vocab;
    return head;
  }

  void embed(const Linear& embedding, std::span<const std::int32_t> ids, Activation out) override {
    const auto& table = static_cast<const CpuEmbedding&>(embedding).table;
    const auto width = static_cast<std::size_t>(out.cols);
    for_rows(ids.size(), [&](std::size_t r) {
      if (ids[r] >= 0)
        tensor::copy_f32(table, static_cast<std::size_t>(ids[r]) * width, width,
                         row_of(out, static_cast<std::int64_t>(r)));
    });
  }

  void gather_rows(Activation x, std::span<const std::int32_t> rows, Activation out) override {
    for_rows(rows.size(), [&](std::size_t r) {
      std::memcpy(row_of(out, static_cast<std::int64_t>(r)), row_of(x, rows[r]), row_bytes(x));
    });
  }

  void scatter_rows(Activation x, std::span<const std::int32_t> rows, Activation out) override {
    for_rows(rows.size(), [&](std::size_t r) {
      std::memcpy(row_of(out, rows[r]), row_of(x, static_cast<std::int64_t>(r)), row_bytes(x));
    });
  }

  void linear(const Linear& weight, Activation x, std::int32_t rows, Activation out) override {
    const auto& packed = static_cast<const CpuLinear&>(weight);
    const bool reduced = packed.row_split && group_.size() > 1;
    product_.multiply(packed, floats(x), static_cast<std::size_t>(x.cols), rows,
                      reduced ? nullptr : packed.bias.floats(), floats(out),
                      static_cast<std::size_t>(out.cols));
    if (!reduced) return;
    group_.all_reduce_sum({floats(out), static_cast<std::size_t>(rows) * static_cast<std::size_t>(out.cols)});
    if (packed.bias.bytes() > 0)
      for_rows(static_cast<std::size_t>(rows), [&](std::size_t r) {
        kernels::add(set_, row_of(out, static_cast<std::int64_t>(r)), packed.bias.floats(),
                     static_cast<std::size_t>(packed.out_features));
      });
  }

  void rms_norm(Activation x, const Vector& weight, float epsilon, std::int32_t rows,
                Activation out) override {
    const float* scale = static_cast<const CpuVector&>(weight).values.floats();
    for_rows(static_cast<std::size_t>(rows), [&](std::size_t r) {
      const auto row = static_cast<std::int64_t>(r);
      kernels::rms_norm(set_, row_of(x, row), scale, epsilon, x.cols, row_of(out, row));
    });
  }

  void add_rms_norm(Activation residual, Activation delta, const Vector& weight, float epsilon,
                    std::int32_t rows, Activation out) override {
    const float* scale = static_cast<const CpuVector&>(weight).values.floats();
    for_rows(static_cast<std::size_t>(rows), [&](std::size_t r) {
      const auto row = static_cast<std::int64_t>(r);
      kernels::add(set_, row_of(residual, row), row_of(delta, row), static_cast<std::size_t>(residual.cols));
      kernels::rms_norm(set_, row_of(residual, row), scale, epsilon, residual.cols, row_of(out, row));
    });
  }

  void add(Activation residual, Activation delta, std::int32_t rows) override {
    for_rows(static_cast<std::size_t>(rows), [&](std::size_t r) {
      const auto row = static_cast<std::int64_t>(r);
      kernels::add(set_, row_of(residual, row), row_of(delta, row), static_cast<std::size_t>(residual.cols));
    });
  }

  void linear_swiglu(const Linear& gated, Activation x, std::int32_t rows, Activation,
                     Activation out) override {
    const auto& packed = static_cast<const CpuLinear&>(gated);
    product_.multiply_swiglu(packed, floats(x), static_cast<std::size_t>(x.cols), rows, packed.bias.floats(),
                             floats(out), static_cast<std::size_t>(out.cols));
  }

  void gelu(Activation x, std::int32_t rows) override {
    for_rows(static_cast<std::size_t>(rows), [&](std::size_t r) {
      kernels::gelu(set_, row_of(x, static_cast<std::int64_t>(r)), static_cast<std::size_t>(x.cols));
    });
  }

  void rope_and_store(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t kv_heads,
                      std::int32_t head_dim, const Rope& rope, std::span<const std::int32_t> positions,
                      std::span<const std::int32_t> slots, KvCache& cache, std::int32_t layer) override {
    rope_table_.set_positions(rope, positions, rows, pool_);
    rotate_and_store(qkv, rows, heads, kv_heads, head_dim, rope_table_, slots,
                     static_cast<CpuKvCache&>(cache), layer);
  }

  void attention(Activation qkv, std::int32_t heads, std::int32_t kv_heads, std::int32_t head_dim,
                 const AttentionPlan& plan, const KvCache& cache, std::int32_t layer,
                 Activation out) override {
    // Two tasks for each thread, so that none waits long for the last.
    const std::int32_t wanted_tiles = (2 * pool_.threads() + kv_heads - 1) / kv_heads;
    plan_causal(plan, heads / kv_heads, pool_.threads() == 1 ? 1 : wanted_tiles, tiles_);
    const AttentionShape shape{heads,
                               kv_heads,
                               head_dim,
                               floats(qkv),
                               static_cast<std::size_t>(qkv.cols),
                               floats(out),
                               static_cast<std::size_t>(out.cols)};
    run_attention(set_, tiles_, shape, static_cast<const CpuKvCache&>(cache), layer, attention_scratch_,
                  pool_);
  }

  void copy_block(KvCache& kv, std::int32_t from, std::int32_t to, std::int32_t tokens) override {
    const auto& cache = static_cast<CpuKvCache&>(kv);
    const auto dim = static_cast<std::size_t>(cache.head_dim);
    for (std::int32_t layer = 0; layer < cache.layers; ++layer)
      for (std::int32_t head = 0; head < cache.kv_heads; ++head) {
        float* base = cache.layer_data(layer) +
                      static_cast<std::size_t>(head) * kernels::kv_block_floats(cache.head_dim);
        const float* source = base + static_cast<std::size_t>(from) * cache.block_floats();
        float* target = base + static_cast<std::size_t>(to) * cache.block_floats();
        const auto count = static_cast<std::size_t>(tokens);
        for (std::size_t i = 0; i < dim; ++i)
          std::memcpy(target + i * kBlockTokens, source + i * kBlockTokens, count * sizeof(float));
        std::memcpy(target + dim * kBlockTokens, source + dim * kBlockTokens, count * dim * sizeof(float));
      }
  }

  void vision_attention(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t head_dim,
                        std::span<const float> angles, std::span<const std::int32_t> segment_ends,
                        Activation out) override {
    // Each segment is a sequence of its own blocks in a one-layer cache; all its rows see all its keys.
    const std::int32_t blocks = plan_segments(segment_ends, vision_slots_, vision_blocks_, tiles_);
    vision_cache_.blocks = blocks;
    vision_cache_.layers = 1;
    vision_cache_.kv_heads = heads;
    vision_cache_.head_dim = head_dim;
    vision_cache_.memory.reserve(static_cast<std::size_t>(blocks) * vision_cache_.block_floats() *
                                 sizeof(float));
    vision_table_.set_angles(angles, pool_);
    rotate_and_store(qkv, rows, heads, heads, head_dim, vision_table_, vision_slots_, vision_cache_, 0);

    const AttentionShape shape{heads,
                               heads,
                               head_dim,
                               floats(qkv),
                               static_cast<std::size_t>(qkv.cols),
                               floats(out),
                               static_cast<std::size_t>(out.cols)};
    run_attention(set_, tiles_, shape, vision_cache_, 0, attention_scratch_, pool_);
  }

  void sample(const Linear& head, Activation hidden, std::span<const SampleRow> samples,
              std::span<SampleResult> results) override {
    const auto& packed = static_cast<const CpuLinear&>(head);
    const auto local = static_cast<std::size_t>(packed.out_features);
    const auto width = static_cast<std::size_t>(hidden.cols);
    for (std::size_t first = 0; first < samples.size(); first += kSampleRows) {
      const auto count = std::min<std::size_t>(kSampleRows, samples.size() - first);
      const auto batch = samples.subspan(first, count);
      sample_hidden_.reserve(kSampleRows * width * sizeof(float));
      sample_logits_.reserve(count * local * sizeof(float));
      for (std::size_t r = 0; r < count; ++r)
        std::memcpy(sample_hidden_.floats() + r * width, row_of(hidden, batch[r].row), row_bytes(hidden));
      product_.multiply(packed, sample_hidden_.floats(), width, static_cast<std::int32_t>(count), nullptr,
                        sample_logits_.floats(), local);
      sampler_.choose(sample_logits_.floats(), packed.vocab, batch, results.subspan(first, count));
    }
  }

  std::vector<float> logits(const Linear& head, Activation hidden, std::int32_t row) override {
    const auto& packed = static_cast<const CpuLinear&>(head);
    // The ranks' parts may differ by a few rows: gather parts of the largest size.
    std::size_t largest = 0;
    for (int rank = 0; rank < group_.size(); ++rank)
      largest =
          std::max(largest, static_cast<std::size_t>(shard_range(packed.vocab, rank, group_.size()).size()));
    std::vector<float> own(largest), gathered(largest * static_cast<std::size_t>(group_.size())), all;
    product_.multiply(packed, row_of(hidden, row), static_cast<std::size_t>(hidden.cols), 1, nullptr,
                      own.data(), static_cast<std::size_t>(packed.out_features));
    group_.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(gathered)));
    for (int rank = 0; rank < group_.size(); ++rank) {
      const auto begin =
          gathered.begin() + static_cast<std::ptrdiff_t>(largest * static_cast<std::size_t>(rank));
      all.insert(all.end(), begin, begin + shard_range(packed.vocab, rank, group_.size()).size());
    }
    return all;
  }

  void upload(std::span<const float> values, Activation to) override {
    std::memcpy(to.data, values.data(), values.size_bytes());
  }
  void download(Activation from, std::span<float> values) override {
    std::memcpy(values.data(), from.data, values.size_bytes());
  }

 private:
  static kernels::Segments whole(const tensor::TensorView& weight) {
    kernels::Segments segments;
    segments.length[0] = static_cast<std::int32_t>(weight.shape.size() == 2 ? weight.shape[1] : 0);
    return segments;
  }

  static std::size_t row_bytes(Activation x) { return static_cast<std::size_t>(x.cols) * sizeof(float); }

  /// body(begin, end) for ranges of at most `most` rows, some for each thread.
  template <class Body>
  void for_ranges(std::size_t rows, std::size_t most, const Body& body) {
    const std::size_t range =
        std::clamp<std::size_t>(rows / static_cast<std::size_t>(4 * pool_.threads()), 1, most);
    pool_.run(static_cast<int>((rows + range - 1) / range), [&](int task, int) {
      const std::size_t begin = static_cast<std::size_t>(task) * range;
      body(begin, std::min(rows, begin + range));
    });
  }

  template <class Body>
  void for_rows(std::size_t rows, const Body& body) {
    for_ranges(rows, kRowsPerTask, [&](std::size_t begin, std::size_t end) {
      for (std::size_t r = begin; r < end; ++r) body(r);
    });
  }

  void rotate_and_store(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t kv_heads,
                        std::int32_t head_dim, const RopeTable& table, std::span<const std::int32_t> slots,
                        const CpuKvCache& cache, std::int32_t layer) {
    const std::int32_t half = head_dim / 2;
    float* const data = cache.layer_data(layer);
    const auto block_of = [&](std::size_t r, std::int32_t h) {
      return data + static_cast<std::size_t>(slots[r] / kBlockTokens) * cache.block_floats() +
             static_cast<std::size_t>(h) * kernels::kv_block_floats(head_dim);
    };
    for_ranges(static_cast<std::size_t>(rows), kernels::kLineFloats, [&](std::size_t begin, std::size_t end) {
      for (std::size_t r = begin; r < end; ++r) {
        // Tokens that follow one another share lines.
        if (r == begin || slots[r] != slots[r - 1] + 1 || slots[r] % kernels::kLineFloats == 0)
          for (std::int32_t h = 0; h < kv_heads; ++h)
            kernels::prefetch_kv(block_of(r, h), slots[r] % kBlockTokens, head_dim);
        for (std::int32_t h = 0; h < heads + kv_heads; ++h)
          kernels::rotate_half(set_, row_of(qkv, static_cast<std::int64_t>(r)) + h * head_dim,
                               table.cosines() + r * static_cast<std::size_t>(half),
                               table.sines() + r * static_cast<std::size_t>(half), half);
      }
      // Head by head: the lines of one token's keys in all heads would not fit the sets of the first-level cache
      // they fall into.
      for (std::int32_t h = 0; h < kv_heads; ++h)
        for (std::size_t r = begin; r < end; ++r) {
          const float* keys = row_of(qkv, static_cast<std::int64_t>(r)) + (heads + h) * head_dim;
          kernels::store_kv(block_of(r, h), slots[r] % kBlockTokens, keys, keys + kv_heads * head_dim, head_dim);
        }
    });
  }

  comm::Comm& group_;
  InstructionSet set_;
  ThreadPool pool_;
  CpuProduct product_;
  Arena arena_;  ///< of weights
  CpuSampler sampler_;
  std::vector<Buffer> activations_;
  Buffer attention_scratch_, sample_hidden_, sample_logits_;
  RopeTable rope_table_, vision_table_;
  QueryTiles tiles_;
  std::vector<std::int32_t> vision_slots_, vision_blocks_;
  CpuKvCache vision_cache_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(comm::Comm& group, const CpuSettings& settings) {
  return std::make_unique<CpuBackend>(group, settings);
}

}  // namespace assize::backend
