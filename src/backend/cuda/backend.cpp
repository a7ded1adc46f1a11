#include "backend/cuda/backend.h"

#include <unistd.h>

#include <algorithm>

#include "backend/cuda/product.h"
#include "backend/cuda/sampler.h"
#include "backend/cuda/weights.h"
#include "backend/split.h"
#include "base/error.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/rope.h"

namespace assize::backend::cuda {

namespace k = kernels::cuda;

namespace {

/// Host floats on their way to and from bf16 activations are converted this many at a time.
constexpr std::size_t kConvertedValues = std::size_t{1} << 20;

Bf16* values(Activation x) { return static_cast<Bf16*>(x.data); }

/// KV blocks [layer][block][K, V][kv head][kBlockTokens][head_dim].
struct CudaKvCache : KvCache {
  Bf16* memory = nullptr;
  std::int32_t layers = 0;
  std::int32_t kv_heads = 0;
  std::int32_t head_dim = 0;

  std::int64_t block_values() const { return std::int64_t{2} * kv_heads * kBlockTokens * head_dim; }
  std::int64_t layer_values() const { return block_values() * blocks; }
  k::KvLayer layer(std::int32_t index) const {
    return {memory + index * layer_values(), block_values(), kv_heads, head_dim};
  }
};

void check_head_dim(std::int32_t head_dim) {
  if (head_dim == 64 || head_dim == 80 || head_dim == 128) return;
  throw base::Error("head_dim " + std::to_string(head_dim) +
                    " is not supported on GPUs; 64, 80 and 128 are; set parallel.device to cpu");
}

class CudaBackend final : public Backend {
 public:
  CudaBackend(comm::Comm& group, const std::string& gpu_name, std::unique_ptr<Arena> arena,
              std::unique_ptr<Collective> collective)
      : group_(group),
        name_(gpu_name + ", bf16"),
        arena_owner_(std::move(arena)),
        collective_owner_(std::move(collective)),
        arena_(*arena_owner_),
        collective_(*collective_owner_),
        queue_(arena_, collective_),
        product_(queue_),
        sampler_(queue_, collective_, group.rank(), group.size()) {
    converted_ = arena_.take_array<float>(kConvertedValues, "conversions");
  }
  ~CudaBackend() override { cudaStreamSynchronize(queue_.stream()); }

  std::string name() const override { return name_; }
  const comm::Comm& group() const override { return group_; }
  std::size_t value_bytes() const override { return sizeof(Bf16); }
  std::size_t memory_bytes() const override { return arena_.left(); }

  Activation allocate(std::int64_t rows, std::int32_t cols) override {
    const auto bytes = static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols) * sizeof(Bf16);
    Activation made{arena_.take(bytes, "activations"), cols};
    ASSIZE_CUDA(cudaMemsetAsync(made.data, 0, bytes, queue_.stream()));
    return made;
  }

  std::unique_ptr<KvCache> make_kv_cache(std::int32_t blocks, std::int32_t layers, std::int32_t kv_heads,
                                         std::int32_t head_dim) override {
    check_head_dim(head_dim);
    auto cache = std::make_unique<CudaKvCache>();
    cache->blocks = blocks;
    cache->layers = layers;
    cache->kv_heads = kv_heads;
    cache->head_dim = head_dim;
    cache->bytes = static_cast<std::size_t>(cache->layer_values()) * static_cast<std::size_t>(layers) * sizeof(Bf16);
    cache->memory = static_cast<Bf16*>(arena_.take(cache->bytes, "the KV cache"));
    // Entries that were never written are read with weight 0, and 0 times NaN is NaN.
    ASSIZE_CUDA(cudaMemsetAsync(cache->memory, 0, cache->bytes, queue_.stream()));
    return cache;
  }

  std::unique_ptr<Linear> pack_columns(std::span<const LinearPart> parts) override {
    const auto& shape = parts.front().weight->shape;
    auto linear = pack(queue_, parts, 0, shape.size() == 2 ? shape[1] : 0);
    product_.prepare(*linear, false);
    return linear;
  }

  std::unique_ptr<Linear> pack_gated(const LinearPart& gate, const LinearPart& up) override {
    const LinearPart parts[] = {gate, up};
    return pack_columns(parts);
  }

  std::unique_ptr<Linear> pack_rows(const tensor::TensorView& weight, const tensor::TensorView* bias) override {
    const std::int64_t in = weight.shape.size() == 2 ? weight.shape[1] : 0;
    const ShardRange own = shard_range(in, group_.rank(), group_.size());
    const LinearPart part{&weight, group_.size() == 1 ? bias : nullptr, 0, weight.shape.empty() ? 0 : weight.shape[0]};
    auto linear = pack(queue_, {&part, 1}, own.begin, own.size());
    linear->row_split = true;
    if (bias && group_.size() > 1) linear->summed_bias = upload_f32(queue_, *bias);
    product_.prepare(*linear, group_.size() > 1);
    return linear;
  }

  std::unique_ptr<Vector> upload_vector(const tensor::TensorView& stored) override {
    auto vector = std::make_unique<CudaVector>();
    vector->values = upload_f32(queue_, stored);
    return vector;
  }

  std::unique_ptr<Linear> make_embedding(const tensor::TensorView& table) override {
    const LinearPart part{&table, nullptr, 0, table.shape.empty() ? 0 : table.shape[0]};
    auto embedding = pack(queue_, {&part, 1}, 0, table.shape.size() == 2 ? table.shape[1] : 0);
    std::swap(embedding->in_features, embedding->out_features);
    return embedding;
  }

  std::unique_ptr<Linear> pack_head(const tensor::TensorView& table) override {
    const std::int64_t vocab = table.shape.empty() ? 0 : table.shape[0];
    if (vocab < 4) {
      throw base::Error("tensor " + table.name + " has shape " + tensor::shape_text(table.shape) +
                        "; an output head of at least 4 rows is needed");
    }
    const ShardRange own = shard_range(vocab, group_.rank(), group_.size());
    const LinearPart part{&table, nullptr, own.begin, own.end};
    auto head = pack(queue_, {&part, 1}, 0, table.shape.size() == 2 ? table.shape[1] : 0);
    head->vocab = vocab;
    sampler_.logits(head->out_features);
    sampled_hidden_.reserve(arena_, static_cast<std::size_t>(kSampleRows) * static_cast<std::size_t>(head->in_features),
                            "sampling");
    product_.prepare(*head, true, kSampleRows);
    return head;
  }

  void embed(const Linear& embedding, std::span<const std::int32_t> ids, Activation out) override {
    const auto& table = static_cast<const CudaLinear&>(embedding);
    const std::int32_t* const device = ids_.set(queue_, ids, "token ids");
    ASSIZE_LAUNCH(k::embed(table.weight, device, static_cast<int>(ids.size()), out.cols, values(out), queue_.kernels()));
  }

  void gather_rows(Activation x, std::span<const std::int32_t> rows, Activation out) override {
    const std::int32_t* const device = gathered_.set(queue_, rows, "row numbers");
    ASSIZE_LAUNCH(k::gather_rows(values(x), device, static_cast<int>(rows.size()), x.cols, values(out), queue_.kernels()));
  }

  void scatter_rows(Activation x, std::span<const std::int32_t> rows, Activation out) override {
    const std::int32_t* const device = scattered_.set(queue_, rows, "row numbers");
    ASSIZE_LAUNCH(k::scatter_rows(values(x), device, static_cast<int>(rows.size()), x.cols, values(out), queue_.kernels()));
  }

  void linear(const Linear& weight, Activation x, std::int32_t rows, Activation out) override {
    const auto& packed = static_cast<const CudaLinear&>(weight);
    if (!packed.row_split || group_.size() == 1) {
      product_.multiply(packed, values(x), rows, values(out));
      return;
    }
    const std::size_t part = static_cast<std::size_t>(rows) * static_cast<std::size_t>(packed.out_features);
    float* const parts = parts_.reserve(arena_, part * static_cast<std::size_t>(group_.size()), "sums over the ranks");
    float* const own = parts + part * static_cast<std::size_t>(group_.rank());
    product_.multiply_f32(packed, values(x), rows, own);
    collective_.all_gather(own, parts, part * sizeof(float), queue_.stream());
    ASSIZE_LAUNCH(k::sum_parts(parts, group_.size(), packed.summed_bias, rows, packed.out_features, values(out),
                               queue_.kernels()));
  }

  void rms_norm(Activation x, const Vector& weight, float epsilon, std::int32_t rows, Activation out) override {
    const float* const scale = static_cast<const CudaVector&>(weight).values;
    ASSIZE_LAUNCH(k::rms_norm(values(x), scale, epsilon, rows, x.cols, values(out), queue_.kernels()));
  }

  void add_rms_norm(Activation residual, Activation delta, const Vector& weight, float epsilon, std::int32_t rows,
                    Activation out) override {
    const float* const scale = static_cast<const CudaVector&>(weight).values;
    ASSIZE_LAUNCH(k::add_rms_norm(values(residual), values(delta), scale, epsilon, rows, residual.cols, values(out),
                                  queue_.kernels()));
  }

  void add(Activation residual, Activation delta, std::int32_t rows) override {
    ASSIZE_LAUNCH(k::add(values(residual), values(delta), std::int64_t{rows} * residual.cols, queue_.kernels()));
  }

  void linear_swiglu(const Linear& gated, Activation x, std::int32_t rows, Activation product, Activation out) override {
    linear(gated, x, rows, product);
    ASSIZE_LAUNCH(k::swiglu(values(product), rows, product.cols / 2, values(out), queue_.kernels()));
  }

  void gelu(Activation x, std::int32_t rows) override {
    ASSIZE_LAUNCH(k::gelu(values(x), std::int64_t{rows} * x.cols, queue_.kernels()));
  }

  void rope_and_store(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t, std::int32_t,
                      const Rope& rope, std::span<const std::int32_t> positions, std::span<const std::int32_t> slots,
                      KvCache& cache, std::int32_t layer) override {
    k::RopeTables tables;
    tables.inv_freq = inv_freq_.set(queue_, rope.inv_freq, "rotary tables");
    tables.component = component_.set(queue_, rope.component, "rotary tables");
    tables.attention_factor = rope.attention_factor;
    const std::int32_t* const device_positions = positions_.set(queue_, positions, "positions");
    const std::int32_t* const device_slots = slots_.set(queue_, slots, "slots");
    ASSIZE_LAUNCH(k::rope_and_store(values(qkv), nullptr, rows, heads, tables, device_positions, device_slots,
                                    static_cast<CudaKvCache&>(cache).layer(layer), queue_.kernels()));
  }

  void attention(Activation qkv, std::int32_t heads, std::int32_t kv_heads, std::int32_t head_dim,
                 const AttentionPlan& plan, const KvCache& cache, std::int32_t layer, Activation out) override {
    plan_step(plan, heads / kv_heads, kv_heads);
    k::AttentionArrays arrays;
    arrays.q = values(qkv);
    arrays.q_stride = qkv.cols;
    arrays.out = values(out);
    arrays.out_stride = out.cols;
    arrays.heads = heads;
    arrays.cache = static_cast<const CudaKvCache&>(cache).layer(layer);
    arrays.blocks = blocks_.set(queue_, plan.blocks, "block tables");
    const auto* const prefill = prefill_.set(queue_, std::span<const k::PrefillItem>(work_.prefill), "attention work");
    const auto* const columns = columns_.set(queue_, std::span<const k::DecodeColumn>(work_.columns), "attention work");
    const auto* const decode = decode_.set(queue_, std::span<const k::DecodeItem>(work_.decode), "attention work");
    ASSIZE_LAUNCH(k::attention_prefill(arrays, prefill, static_cast<int>(work_.prefill.size()), queue_.kernels()));
    if (work_.decode.empty()) return;
    const auto floats = static_cast<std::size_t>(k::decode_workspace_floats(work_.partials, kv_heads, head_dim));
    float* const workspace = workspace_.reserve(arena_, floats, "attention");
    ASSIZE_LAUNCH(k::attention_decode(arrays, columns, static_cast<int>(work_.columns.size()), decode,
                                      static_cast<int>(work_.decode.size()), work_.max_columns, work_.partials,
                                      workspace, queue_.kernels()));
  }

  void copy_block(KvCache& kv, std::int32_t from, std::int32_t to, std::int32_t tokens) override {
    const auto& cache = static_cast<const CudaKvCache&>(kv);
    ASSIZE_LAUNCH(k::copy_kv_block(cache.layer(0), cache.layer_values(), cache.layers, from, to, tokens, queue_.kernels()));
  }

  void vision_attention(Activation qkv, std::int32_t rows, std::int32_t heads, std::int32_t head_dim,
                        std::span<const float> angles, std::span<const std::int32_t> segment_ends,
                        Activation out) override {
    check_head_dim(head_dim);
    k::plan_segments(segment_ends, segments_);
    const float* const device_angles = angles_.set(queue_, angles, "rotary angles");
    // Windows and frames take turns from layer to layer.
    auto& items = segment_ends.size() == 1 ? frame_items_ : window_items_;
    const auto* const device_items = items.set(queue_, std::span<const k::PrefillItem>(segments_), "attention work");
    ASSIZE_LAUNCH(k::rotate_qkv(values(qkv), nullptr, rows, heads, head_dim, device_angles, queue_.kernels()));
    ASSIZE_LAUNCH(k::attention_segments(values(qkv), heads, head_dim, device_items, static_cast<int>(segments_.size()),
                                        values(out), queue_.kernels()));
  }

  void sample(const Linear& head, Activation hidden, std::span<const SampleRow> samples,
              std::span<SampleResult> results) override {
    const auto& packed = static_cast<const CudaLinear&>(head);
    const auto first_id = static_cast<std::int32_t>(shard_range(packed.vocab, group_.rank(), group_.size()).begin);
    float* const logits = sampler_.logits(packed.out_features);
    for (std::size_t first = 0; first < samples.size(); first += kSampleRows) {
      const auto count = std::min<std::size_t>(kSampleRows, samples.size() - first);
      const auto batch = samples.subspan(first, count);
      sampled_rows_host_.clear();
      for (const SampleRow& sample : batch) sampled_rows_host_.push_back(sample.row);
      const std::int32_t* const rows =
          sampled_rows_.set(queue_, std::span<const std::int32_t>(sampled_rows_host_), "row numbers");
      ASSIZE_LAUNCH(k::gather_rows(values(hidden), rows, static_cast<int>(count), hidden.cols, sampled_hidden_.data(),
                                   queue_.kernels()));
      product_.multiply_f32(packed, sampled_hidden_.data(), static_cast<std::int32_t>(count), logits);
      sampler_.choose(logits, first_id, packed.out_features, batch, results.subspan(first, count));
    }
  }

  std::vector<float> logits(const Linear& head, Activation hidden, std::int32_t row) override {
    const auto& packed = static_cast<const CudaLinear&>(head);
    float* const device = sampler_.logits(packed.out_features);
    ASSIZE_LAUNCH(k::gather_rows(values(hidden), gathered_.set(queue_, {&row, 1}, "row numbers"), 1, hidden.cols,
                                 sampled_hidden_.data(), queue_.kernels()));
    product_.multiply_f32(packed, sampled_hidden_.data(), 1, device);
    // The ranks' parts may differ by a few rows: gather parts of the largest size.
    std::int64_t largest = 0;
    for (int rank = 0; rank < group_.size(); ++rank) {
      largest = std::max(largest, shard_range(packed.vocab, rank, group_.size()).size());
    }
    const auto part = static_cast<std::size_t>(largest);
    std::vector<float> own(part), all(part * static_cast<std::size_t>(group_.size())), made;
    queue_.download(device, static_cast<std::size_t>(packed.out_features) * sizeof(float), own.data());
    group_.all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)));
    for (int rank = 0; rank < group_.size(); ++rank) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(part * static_cast<std::size_t>(rank));
      made.insert(made.end(), begin, begin + shard_range(packed.vocab, rank, group_.size()).size());
    }
    return made;
  }

  void upload(std::span<const float> from, Activation to) override {
    for (std::size_t first = 0; first < from.size(); first += kConvertedValues) {
      const auto part = from.subspan(first, std::min(kConvertedValues, from.size() - first));
      queue_.upload_large(part.size(), sizeof(float), converted_,
                          [&](std::byte* piece, std::size_t at, std::size_t count) {
                            std::memcpy(piece, part.data() + at, count * sizeof(float));
                          });
      ASSIZE_LAUNCH(k::to_bf16(converted_, static_cast<std::int64_t>(part.size()), values(to) + first, queue_.kernels()));
    }
  }

  void download(Activation from, std::span<float> to) override {
    for (std::size_t first = 0; first < to.size(); first += kConvertedValues) {
      const auto part = to.subspan(first, std::min(kConvertedValues, to.size() - first));
      ASSIZE_LAUNCH(k::to_f32(values(from) + first, static_cast<std::int64_t>(part.size()), converted_, queue_.kernels()));
      queue_.download(converted_, part.size_bytes(), part.data());
    }
  }

 private:
  /// Work items of a step; every layer asks for the same, and they are planned once.
  void plan_step(const AttentionPlan& plan, int group, int kv_heads) {
    const auto set = [](auto& last, const auto& wanted, const auto& convert) {
      bool same = last.size() == wanted.size();
      last.resize(wanted.size());
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto value = convert(wanted[i]);
        same = same && last[i] == value;
        last[i] = value;
      }
      return same;
    };
    const bool same_sequences = set(sequences_, plan.sequences, [](const auto& s) {
      return k::SequenceRows{s.row_begin, s.row_count, s.context_tokens, s.block_begin};
    });
    const bool same_shared = set(shared_, plan.shared, [](const auto& s) {
      return k::SharedRows{s.first_sequence, s.sequence_count, s.shared_tokens};
    });
    if (same_sequences && same_shared && group == planned_group_) return;
    k::plan_attention(sequences_, shared_, group, k::wanted_items(kv_heads), work_);
    planned_group_ = group;
  }

  comm::Comm& group_;
  const std::string name_;
  const std::unique_ptr<Arena> arena_owner_;
  const std::unique_ptr<Collective> collective_owner_;
  Arena& arena_;
  Collective& collective_;
  Queue queue_;
  Product product_;
  Sampler sampler_;
  float* converted_ = nullptr;

  StepArray<std::int32_t> ids_, gathered_, scattered_, positions_, slots_, blocks_, sampled_rows_;
  StepArray<float> inv_freq_, angles_;
  StepArray<std::uint8_t> component_;
  StepArray<k::PrefillItem> prefill_, window_items_, frame_items_;
  StepArray<k::DecodeColumn> columns_;
  StepArray<k::DecodeItem> decode_;
  std::vector<k::SequenceRows> sequences_;
  std::vector<k::SharedRows> shared_;
  int planned_group_ = 0;  ///< query heads of a KV head that work_ is for; 0: nothing is planned yet
  k::AttentionWork work_;
  std::vector<k::PrefillItem> segments_;
  std::vector<std::int32_t> sampled_rows_host_;
  DeviceArray<float> parts_, workspace_;
  DeviceArray<Bf16> sampled_hidden_;
};

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

/// Refuses a GPU that the process does not see, with the flag that shows it.
void check_visible(int gpu, int ranks, int visible) {
  if (gpu < visible && ranks <= visible) return;
  throw base::Error("worker " + std::to_string(gpu) + " of node " + host_name() + " sees " + std::to_string(visible) +
                        (visible == 1 ? " GPU" : " GPUs") + ", but needs GPU " + std::to_string(gpu) +
                        " and at least " + std::to_string(ranks) + " for parallel.tensor_parallel; start with "
                        "--gpus-per-node=N for N workers on a node, and without --gpus-per-task and --gpu-bind, which "
                        "hide the others",
                    base::ErrorKind::failed);
}

}  // namespace

int count_gpus() {
  int count = 0;
  ASSIZE_CUDA(cudaGetDeviceCount(&count));
  if (count == 0) check(cudaErrorNoDevice, "cudaGetDeviceCount");
  return count;
}

std::unique_ptr<Backend> make_cuda_backend(comm::Comm& group, int gpu) {
  const std::string rank = "rank " + std::to_string(group.rank()) + " of " + std::to_string(group.size());
  std::string gpu_name;
  in_step(group, "GPU", [&] {
    set_place(rank + ", host " + host_name());
    check_visible(gpu, group.size(), count_gpus());
    ASSIZE_CUDA(cudaSetDevice(gpu));
    cudaDeviceProp properties{};
    ASSIZE_CUDA(cudaGetDeviceProperties(&properties, gpu));
    gpu_name = properties.name;
    set_place(place() + ", GPU " + std::to_string(gpu) + " (" + gpu_name + ")");
    if (properties.major < 8) {
      throw base::Error(place() + " has compute capability " + std::to_string(properties.major) + "." +
                            std::to_string(properties.minor) + "; bf16 tensor cores need 8.0 or newer",
                        base::ErrorKind::failed);
    }
  });
  std::unique_ptr<Arena> arena;
  in_step(group, "memory", [&] { arena = std::make_unique<Arena>(); });
  auto collective = std::make_unique<Collective>(group, *arena);
  std::unique_ptr<Backend> backend;
  in_step(group, "streams and libraries", [&] {
    backend = std::make_unique<CudaBackend>(group, gpu_name, std::move(arena), std::move(collective));
  });
  return backend;
}

}  // namespace assize::backend::cuda
