// Times the CUDA kernels on the shapes of a 7B judge (28 query heads, 4 key-value heads of 128, hidden 3584) against what this GPU
// reaches in a plain copy and in a large cuBLASLt product, measured in the same run. Prints one JSON object.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "backend/cuda/backend.h"
#include "backend/cuda/product.h"
#include "backend/cuda/random_values.h"
#include "base/error.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/sampling.h"

namespace {

using namespace assize;
using namespace assize::backend::cuda;
namespace k = assize::kernels::cuda;

constexpr int kHeads = 28, kKvHeads = 4, kHeadDim = 128, kHidden = 3584, kIntermediate = 18944;

/// Launches between two events: what starting one costs the host is then hidden as it is in a step.
constexpr int kLaunches = 10;

/// Median time of a launch in milliseconds, of 20 times kLaunches in a row.
double time_ms(cudaStream_t stream, const std::function<void()>& launch) {
  cudaEvent_t begin = nullptr, end = nullptr;
  ASSIZE_CUDA(cudaEventCreate(&begin));
  ASSIZE_CUDA(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 23; ++i) {
    ASSIZE_CUDA(cudaEventRecord(begin, stream));
    for (int n = 0; n < kLaunches; ++n) launch();
    ASSIZE_CUDA(cudaEventRecord(end, stream));
    ASSIZE_CUDA(cudaEventSynchronize(end));
    float ms = 0;
    ASSIZE_CUDA(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 3) times.push_back(ms / kLaunches);
  }
  cudaEventDestroy(end);
  cudaEventDestroy(begin);
  std::nth_element(times.begin(), times.begin() + 10, times.end());
  return times[10];
}

class Rates {
 public:
  Rates() : group_(comm::make_alone()), collective_(*group_, arena_), queue_(arena_, collective_), product_(queue_) {
    memory_ = arena_.take_array<Bf16>(kBufferBytes / sizeof(Bf16), "a test");
    other_ = arena_.take_array<Bf16>(kBufferBytes / sizeof(Bf16), "a test");
    fill_random(queue_, memory_, kBufferBytes / sizeof(Bf16));
    fill_random(queue_, other_, kBufferBytes / sizeof(Bf16));
  }

  nlohmann::ordered_json run() {
    const double copy_ms = time_ms(queue_.stream(), [&] {
      ASSIZE_CUDA(cudaMemcpyAsync(other_, memory_, kBufferBytes, cudaMemcpyDeviceToDevice, queue_.stream()));
    });
    bytes_per_ms_ = 2.0 * kBufferBytes / copy_ms;
    CudaLinear square;
    square.in_features = square.out_features = 8192;
    square.weight = memory_;
    product_.prepare(square, false);
    const double product_ms = time_ms(queue_.stream(), [&] { product_.multiply(square, other_, 8192, other_ + (std::size_t{8192} << 13)); });
    flop_per_ms_ = 2.0 * 8192 * 8192 * 8192 / product_ms;
    out_["copy_tb_per_s"] = bytes_per_ms_ / 1e9;
    out_["product_tflop_per_s"] = flop_per_ms_ / 1e9;
    out_["kernels"] = nlohmann::ordered_json::array();
    small_kernels();
    products();
    for (const int tokens : {512, 2048, 4096}) prefill(tokens);
    for (const int context : {1024, 4096}) {
      for (const bool shared : {false, true}) decode(context, shared);
    }
    sampling();
    return out_;
  }

 private:
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 30;

  /// `mark`: the share of the limit that is asked for; 0: none is.
  void add(const std::string& kernel, const std::string& shape, double bytes, double flop, double mark,
           const std::function<void()>& launch) {
    const double ms = time_ms(queue_.stream(), launch);
    const double memory_ms = bytes / bytes_per_ms_, compute_ms = flop / flop_per_ms_;
    const double limit = std::max(memory_ms, compute_ms);
    nlohmann::ordered_json row = {{"kernel", kernel}, {"shape", shape}, {"ms", ms}, {"limit_ms", limit},
                                  {"limited_by", memory_ms > compute_ms ? "memory" : "products"}, {"share", limit / ms}};
    if (mark > 0) row["pass_mark"] = mark;
    out_["kernels"].push_back(std::move(row));
  }

  /// A step of decoding, and one of prompts.
  void small_kernels() {
    const double row = 2.0 * kHidden;
    float* const scale = arena_.take_array<float>(kHidden, "a test");
    for (const int rows : {64, 8192}) {
      const std::string shape = std::to_string(rows) + " x ";
      const double mark = rows > 64 ? 0.6 : 0;
      add("rms_norm", shape + "3584", rows * 2 * row, 0, mark,
          [=, this] { ASSIZE_LAUNCH(k::rms_norm(memory_, scale, 1e-6f, rows, kHidden, other_, queue_.kernels())); });
      add("add_rms_norm", shape + "3584", rows * 4 * row, 0, mark, [=, this] {
        ASSIZE_LAUNCH(k::add_rms_norm(memory_, other_, scale, 1e-6f, rows, kHidden, other_, queue_.kernels()));
      });
      add("swiglu", shape + "18944", rows * 3 * 2.0 * kIntermediate, 0, mark,
          [=, this] { ASSIZE_LAUNCH(k::swiglu(memory_, rows, kIntermediate, other_, queue_.kernels())); });
    }
  }

  void products() {
    struct Shape {
      const char* name;
      int in, out;
    };
    for (const Shape& s : {Shape{"qkv", kHidden, (kHeads + 2 * kKvHeads) * kHeadDim}, Shape{"o", kHidden, kHidden},
                           Shape{"gate and up", kHidden, 2 * kIntermediate}, Shape{"down", kIntermediate, kHidden}}) {
      CudaLinear linear;
      linear.in_features = s.in;
      linear.out_features = s.out;
      product_.prepare(linear, false);
      const std::size_t values = static_cast<std::size_t>(s.in) * static_cast<std::size_t>(s.out);
      const int copies = static_cast<int>(kBufferBytes / sizeof(Bf16) / values);
      for (const int rows : {1, 16, 64, 128, 512, 2048}) {
        const double bytes = 2.0 * (double{1} * s.in * s.out + double{1} * rows * (s.in + s.out));
        // As in a step, where every layer has weights of its own: never the ones that are in the L2 cache.
        int turn = 0;
        add(std::string("product ") + s.name, std::to_string(rows) + " rows", bytes, 2.0 * rows * s.in * s.out,
            rows == 64 ? 0.5 : 0, [&, rows] {
              linear.weight = memory_ + static_cast<std::size_t>(turn++ % copies) * values;
              product_.multiply(linear, other_, rows, other_ + (std::size_t{1} << 26));
            });
      }
    }
  }

  template <class T>
  const T* to_device(const std::vector<T>& values) {
    T* const device = arena_.take_array<T>(std::max<std::size_t>(values.size(), 1), "a test");
    queue_.upload(values.data(), values.size() * sizeof(T), device);
    return device;
  }

  k::AttentionArrays arrays(const std::vector<std::int32_t>& blocks) {
    k::AttentionArrays made;
    made.q = other_;
    made.q_stride = (kHeads + 2 * kKvHeads) * kHeadDim;
    made.out = other_ + (std::size_t{1} << 27);
    made.out_stride = kHeads * kHeadDim;
    made.heads = kHeads;
    made.cache = {memory_, std::int64_t{2} * kKvHeads * k::kBlockTokens * kHeadDim, kKvHeads, kHeadDim};
    made.blocks = to_device(blocks);
    return made;
  }

  void prefill(int tokens) {
    std::vector<std::int32_t> blocks;
    for (int b = 0; b * k::kBlockTokens < tokens; ++b) blocks.push_back(b);
    const std::vector<k::SequenceRows> sequences = {{0, tokens, 0, 0}};
    k::AttentionWork work;
    k::plan_attention(sequences, {}, kHeads / kKvHeads, k::wanted_items(kKvHeads), work);
    const auto attention = arrays(blocks);
    const auto* const items = to_device(work.prefill);
    const double pairs = 0.5 * tokens * (tokens + 1.0);
    const double bytes = 2.0 * tokens * kHeadDim * (2 * kHeads + 2 * kKvHeads);
    add("attention_prefill", std::to_string(tokens) + " tokens, causal", bytes, 4.0 * pairs * kHeads * kHeadDim,
        0, [=, this, count = static_cast<int>(work.prefill.size())] {
          ASSIZE_LAUNCH(k::attention_prefill(attention, items, count, queue_.kernels()));
        });
  }

  /// 64 sequences of one row; `shared`: groups of eight votes whose keys are the same but for the last block.
  void decode(int context, bool shared) {
    constexpr int sequences_count = 64, votes = 8;
    const int own_blocks = context / k::kBlockTokens;
    std::vector<k::SequenceRows> sequences;
    std::vector<k::SharedRows> prefixes;
    std::vector<std::int32_t> blocks;
    std::int32_t next = 0;
    for (int s = 0; s < sequences_count; ++s) {
      sequences.push_back({s, 1, context - 1, static_cast<std::int32_t>(blocks.size())});
      if (shared && s % votes != 0) {
        const auto first = static_cast<std::size_t>(sequences[static_cast<std::size_t>(s - s % votes)].block_begin);
        for (int b = 0; b + 1 < own_blocks; ++b) blocks.push_back(blocks[first + static_cast<std::size_t>(b)]);
        blocks.push_back(next++);
        continue;
      }
      for (int b = 0; b < own_blocks; ++b) blocks.push_back(next++);
      if (shared) prefixes.push_back({s, votes, context - k::kBlockTokens});
    }
    k::AttentionWork work;
    k::plan_attention(sequences, prefixes, kHeads / kKvHeads, k::wanted_items(kKvHeads), work);
    const auto attention = arrays(blocks);
    const auto* const columns = to_device(work.columns);
    const auto* const items = to_device(work.decode);
    auto* const workspace =
        arena_.take_array<float>(static_cast<std::size_t>(k::decode_workspace_floats(work.partials, kKvHeads, kHeadDim)), "a test");
    const double bytes = 4.0 * next * k::kBlockTokens * kKvHeads * kHeadDim;
    add("attention_decode", "64 sequences, " + std::to_string(context) + " keys" + (shared ? ", eight votes a prompt" : ""), bytes,
        4.0 * sequences_count * context * kHeads * kHeadDim, shared ? 0 : 0.75, [=, this] {
          ASSIZE_LAUNCH(k::attention_decode(attention, columns, static_cast<int>(work.columns.size()), items,
                                            static_cast<int>(work.decode.size()), work.max_columns, work.partials, workspace,
                                            queue_.kernels()));
        });
  }

  /// The next tokens of 64 rows from a vocabulary of 152064, greedy and with top-p.
  void sampling() {
    constexpr std::int32_t rows = 64, vocab = 152064;
    CudaLinear head;
    head.in_features = kHidden;
    head.out_features = vocab;
    head.weight = memory_;
    product_.prepare(head, true, rows);
    float* const logits = arena_.take_array<float>(std::size_t{rows} * vocab, "a test");
    add("output head", "64 rows of 152064", 2.0 * vocab * kHidden + 4.0 * rows * vocab, 2.0 * rows * vocab * kHidden, 0.6,
        [&] { product_.multiply_f32(head, other_, rows, logits); });
    for (const bool top_p : {false, true}) {
      k::SampleRequest request;
      request.temperature = top_p ? 0.7f : 0.0f;
      request.top_p = top_p ? 0.95f : 1.0f;
      k::SampleArrays arrays;
      arrays.requests = to_device(std::vector<k::SampleRequest>(rows, request));
      arrays.logits = logits;
      arrays.stride = arrays.count = vocab;
      arrays.rows = rows;
      arrays.cuts = arena_.take_array<k::SampleCut>(rows, "a test");
      auto* const statistics = arena_.take_array<k::SampleStatistics>(rows, "a test");
      auto* const histograms = arena_.take_array<k::SampleHistogram>(rows, "a test");
      auto* const choices = arena_.take_array<k::SampleChoice>(rows, "a test");
      auto* const outcomes = arena_.take_array<k::SampleOutcome>(rows, "a test");
      const std::string shape = std::string("64 rows of 152064, ") + (top_p ? "top-p" : "greedy");
      const double bytes = 4.0 * rows * vocab;
      const k::Stream stream = queue_.kernels();
      add("sample_statistics", shape, 2 * bytes, 0, 0,
          [=] { ASSIZE_LAUNCH(k::sample_statistics(arrays, statistics, stream)); });
      if (top_p) {
        for (int round = k::kHistogramRounds; round < 2 * k::kHistogramRounds; ++round) {
          add("sample_histogram", shape + ", round " + std::to_string(round), bytes, 0, 0,
              [=] { ASSIZE_LAUNCH(k::sample_histogram(arrays, round, statistics, histograms, stream)); });
          ASSIZE_LAUNCH(k::sample_cut(arrays, round, statistics, histograms, stream));
        }
      }
      add("sample_choose", shape, bytes, 0, 0,
          [=] { ASSIZE_LAUNCH(k::sample_choose(arrays, statistics, choices, stream)); });
      add("sample_finish", shape, 0, 0, 0,
          [=] { ASSIZE_LAUNCH(k::sample_finish(arrays, statistics, choices, outcomes, stream)); });
    }
  }

  const std::unique_ptr<comm::Comm> group_;
  Arena arena_;
  Collective collective_;
  Queue queue_;
  Product product_;
  Bf16* memory_ = nullptr;
  Bf16* other_ = nullptr;
  double bytes_per_ms_ = 0, flop_per_ms_ = 0;
  nlohmann::ordered_json out_;
};

}  // namespace

int main() {
  try {
    count_gpus();
    ASSIZE_CUDA(cudaSetDevice(0));
    std::printf("%s\n", Rates().run().dump(1).c_str());
    return 0;
  } catch (const base::Error& error) {
    std::fprintf(stderr, "gpu_check_rates: %s\n", error.what());
    return 1;
  }
}
