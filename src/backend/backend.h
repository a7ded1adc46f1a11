#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/comm.h"
#include "tensor/tensor_view.h"

namespace assize::backend {

/// KV blocks hold this many tokens.
inline constexpr int kBlockTokens = 64;
/// Attention sums over keys in chunks of this many tokens at absolute positions, merged in order, so that the
/// bits do not depend on the batch.
inline constexpr int kChunkTokens = 512;

/// Device memory for activations: row-major [rows, cols] of the backend's activation type (f32 on CPUs, bf16
/// on CUDA). A view; the Backend owns the memory.
struct Activation {
  void* data = nullptr;
  std::int32_t cols = 0;
};

/// A weight matrix (with optional bias) packed for `Backend::linear`; how is the backend's business.
class Linear {
 public:
  virtual ~Linear() = default;
  std::int32_t in_features = 0;   ///< of this rank
  std::int32_t out_features = 0;  ///< of this rank
  std::size_t bytes = 0;          ///< packed size
};

/// Rows [row_begin, row_end) of a weight [out, in] and the same entries of its bias (null: none).
struct LinearPart {
  const tensor::TensorView* weight = nullptr;
  const tensor::TensorView* bias = nullptr;
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
};

/// A small vector (norm weight) in device memory, f32 values of the stored weight.
class Vector {
 public:
  virtual ~Vector() = default;
};

/// Rotary embedding of the text decoder: angle_j = position[component[j]] * inv_freq[j], j < head_dim/2;
/// pairs are (j, j + head_dim/2). Cos and sin are multiplied by `attention_factor` (YaRN; else 1).
struct Rope {
  std::vector<float> inv_freq;
  std::vector<std::uint8_t> component;  ///< 0 = t, 1 = h, 2 = w; all 0 for ordinary RoPE
  float attention_factor = 1.0f;
};

/// The paged KV cache of all layers. Layout is the backend's business.
class KvCache {
 public:
  virtual ~KvCache() = default;
  std::int32_t blocks = 0;
  std::size_t bytes = 0;
};

/// Query rows of one sequence in this step: rows [row_begin, row_begin + row_count) of the step are the
/// tokens at positions context_tokens, context_tokens + 1, … of the sequence (context_tokens of it are in the
/// cache already). Its blocks are plan.blocks[block_begin ...], enough for context_tokens + row_count tokens.
struct AttentionSequence {
  std::int32_t row_begin = 0;
  std::int32_t row_count = 0;
  std::int32_t context_tokens = 0;
  std::int32_t block_begin = 0;
};

/// Consecutive sequences whose first `shared_tokens` tokens (a multiple of kBlockTokens) lie in the same
/// blocks: their keys may be read once for all. A hint: the bits are the same with and without it.
struct SharedPrefix {
  std::int32_t first_sequence = 0;
  std::int32_t sequence_count = 0;
  std::int32_t shared_tokens = 0;
};

/// Attention work of one step, planned on the host.
struct AttentionPlan {
  std::vector<AttentionSequence> sequences;
  std::vector<std::int32_t> blocks;
  std::vector<SharedPrefix> shared;
};

/// How the next token of one row is chosen and what is reported about it.
struct SampleRow {
  std::int32_t row = 0;             ///< row of the hidden states handed to `sample`
  float temperature = 0.0f;         ///< 0 = greedy (lowest id on ties)
  float top_p = 1.0f;
  std::int32_t top_k = 0;           ///< 0 = off
  float repetition_penalty = 1.0f;  ///< 1 = off; else over `seen_ids`
  std::uint64_t noise_stream = 0;   ///< base::noise_stream of the call
  std::uint32_t position = 0;       ///< index of the generated token in its call, 0-based
  std::int32_t forced_id = -1;      ///< >= 0: this token instead of a sampled one (still reported)
  std::int32_t top_logprobs = 0;    ///< report the K most likely ids, K <= 32
  std::span<const std::int32_t> watch_ids;  ///< up to 16 ids whose log-probabilities are reported
  std::span<const std::int32_t> seen_ids;   ///< distinct ids so far (only for the repetition penalty)
};

/// One id with its log-probability under the model (softmax of the raw fp32 logits, before temperature).
struct TokenLogprob {
  std::int32_t id = 0;
  float logprob = 0;
};

/// The outcome of a SampleRow. `ok` is false where the logits hold a NaN or infinity.
struct SampleResult {
  std::int32_t id = -1;
  float logprob = 0;
  bool ok = true;
  std::vector<float> watch_logprobs;       ///< one for each watch id
  std::vector<TokenLogprob> top_logprobs;  ///< most likely first, lower id first on ties
};

/// The operations a model is made of, on one device, for one rank of a tensor-parallel group. Shapes are
/// checked once by the caller. Tensor parallelism lives inside pack_* / linear / sample; the model never asks.
/// Calls are made by one thread; an implementation may use more inside.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;  ///< "cpu avx512 f32, 2 threads"
  virtual const comm::Comm& group() const = 0;

  /// Bytes of one value of activations and KV cache.
  virtual std::size_t value_bytes() const = 0;
  /// Bytes of device memory that are left for weights, KV cache and activations; 0: the memory of the host.
  virtual std::size_t memory_bytes() const = 0;

  // ---- memory (before the first step only) ----
  /// Activation memory for `rows` x `cols`, zeroed.
  virtual Activation allocate(std::int64_t rows, std::int32_t cols) = 0;
  virtual std::unique_ptr<KvCache> make_kv_cache(std::int32_t blocks, std::int32_t layers,
                                                 std::int32_t kv_heads, std::int32_t head_dim) = 0;

  // ---- weights ----
  /// y = x W^T + b with the given rows of weights stacked. No communication: what a rank holds of a
  /// column-split layer, or a whole replicated layer.
  virtual std::unique_ptr<Linear> pack_columns(std::span<const LinearPart> parts) = 0;
  /// The two layers that `linear_swiglu` joins, with as many rows and the same width. No communication.
  virtual std::unique_ptr<Linear> pack_gated(const LinearPart& gate, const LinearPart& up) = 0;
  /// A row-split layer: this rank holds its K-quarters (split.h) of `weight` [out, in]; `linear` sums the four
  /// quarters as (0+1)+(2+3) over the group at every degree, then adds the bias once.
  virtual std::unique_ptr<Linear> pack_rows(const tensor::TensorView& weight, const tensor::TensorView* bias) = 0;
  virtual std::unique_ptr<Vector> upload_vector(const tensor::TensorView& values) = 0;
  /// Embedding table [vocab, hidden], replicated; on CPUs it refers to the mapped file.
  virtual std::unique_ptr<Linear> make_embedding(const tensor::TensorView& table) = 0;
  /// Output head [vocab, hidden], split over the vocabulary at quarters.
  virtual std::unique_ptr<Linear> pack_head(const tensor::TensorView& table) = 0;

  // ---- operations of a step (no allocation) ----
  /// out[r] = table[ids[r]]; a negative id leaves row r as it is.
  virtual void embed(const Linear& embedding, std::span<const std::int32_t> ids, Activation out) = 0;
  /// out[r] = x[rows[r]] (copies rows of x.cols values).
  virtual void gather_rows(Activation x, std::span<const std::int32_t> rows, Activation out) = 0;
  /// out[rows[r]] = x[r].
  virtual void scatter_rows(Activation x, std::span<const std::int32_t> rows, Activation out) = 0;
  virtual void linear(const Linear& weight, Activation x, std::int32_t rows, Activation out) = 0;
  /// out = x / rms(x) * weight, over x.cols.
  virtual void rms_norm(Activation x, const Vector& weight, float epsilon, std::int32_t rows, Activation out) = 0;
  /// residual += delta, then out = rms_norm(residual).
  virtual void add_rms_norm(Activation residual, Activation delta, const Vector& weight, float epsilon,
                            std::int32_t rows, Activation out) = 0;
  /// residual += delta.
  virtual void add(Activation residual, Activation delta, std::int32_t rows) = 0;
  /// out [rows, I] = silu(gate) * up, with gate and up [rows, I] of a layer from pack_gated. `product` [rows, 2*I] is
  /// room for both where a backend needs it, undefined afterwards.
  virtual void linear_swiglu(const Linear& gated, Activation x, std::int32_t rows, Activation product,
                             Activation out) = 0;
  /// In place, exact-erf GELU.
  virtual void gelu(Activation x, std::int32_t rows) = 0;

  /// Rotates q and k inside `qkv` [rows, (heads + 2*kv_heads) * head_dim] = q | k | v in place and writes k and v
  /// of row r to block slots[r] / kBlockTokens, entry slots[r] % kBlockTokens of `layer`.
  /// positions: 3 x rows (all t, then all h, then all w).
  virtual void rope_and_store(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t kv_heads,
                              std::int32_t head_dim, const Rope& rope, std::span<const std::int32_t> positions,
                              std::span<const std::int32_t> slots, KvCache& cache, std::int32_t layer) = 0;
  /// Causal paged attention of the q part of `qkv` over the cache; scale 1/sqrt(head_dim);
  /// out [rows, heads * head_dim].
  virtual void attention(Activation qkv, std::int32_t heads, std::int32_t kv_heads, std::int32_t head_dim,
                         const AttentionPlan& plan, const KvCache& cache, std::int32_t layer, Activation out) = 0;
  /// Copies the first `tokens` entries of block `from` to block `to`, all layers.
  virtual void copy_block(KvCache& cache, std::int32_t from, std::int32_t to, std::int32_t tokens) = 0;

  /// Vision attention: qkv [rows, 3*heads*head_dim]; q and k are rotated (rotate-half over head_dim) by angles
  /// [rows, head_dim/2]; attention is bidirectional inside segments [segment_ends[i-1], segment_ends[i]);
  /// scale 1/sqrt(head_dim); out [rows, heads*head_dim].
  virtual void vision_attention(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t head_dim,
                                std::span<const float> angles, std::span<const std::int32_t> segment_ends,
                                Activation out) = 0;

  /// Logits of the rows named by `samples` (hidden [.., in_features] already normed) and the choice of their
  /// next tokens; results.size() == samples.size(); the vectors inside results are reused. Same on every rank.
  virtual void sample(const Linear& head, Activation hidden, std::span<const SampleRow> samples,
                      std::span<SampleResult> results) = 0;
  /// Full logits [vocab] of one hidden row, gathered over the group (tests, goldens). May allocate.
  virtual std::vector<float> logits(const Linear& head, Activation hidden, std::int32_t row) = 0;

  // ---- copies between host and device, f32 on the host ----
  virtual void upload(std::span<const float> values, Activation to) = 0;
  virtual void download(Activation from, std::span<float> values) = 0;
};

/// Settings of the CPU backend.
struct CpuSettings {
  int threads = 0;              ///< 0 = the cores this process may use, shared by the ranks on the node
  std::string instruction_set;  ///< "" = the best the CPU has; "avx2" or "avx512" force one
};

/// The CPU backend (numerics f32). Throws Error on a CPU without AVX2 and FMA, or when the forced instruction
/// set is absent. `group` must outlive it.
std::unique_ptr<Backend> make_cpu_backend(comm::Comm& group, const CpuSettings& settings);

}  // namespace assize::backend
