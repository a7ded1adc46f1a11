#include <cmath>

#include "kernels/cuda/device.h"
#include "kernels/cuda/sampling.h"

namespace assize::kernels::cuda {

namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr int kDigitBits = 10;
using Wide = unsigned long long;
static_assert(1 << kDigitBits == kHistogramBins);

struct StageParams {
  SampleArrays arrays;
  int round;
  const SampleStatistics* statistics;
  const SampleHistogram* histograms;
  const SampleChoice* choices;
  SampleStatistics* own_statistics;
  SampleHistogram* own_histograms;
  SampleChoice* own_choices;
  SampleOutcome* outcomes;
};

// ---- reductions over a block, the same for every thread and in one order ----

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Maximum {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Both {
  __device__ __forceinline__ int operator()(int a, int b) const { return a & b; }
};

template <class T, class Op>
__device__ __forceinline__ T reduce(T x, unsigned char* scratch, Op op) {
  T* parts = reinterpret_cast<T*>(scratch);
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x = op(x, __shfl_xor_sync(0xffffffffu, x, distance));
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = parts[0];
#pragma unroll
  for (int w = 1; w < kWarps; ++w) x = op(x, parts[w]);
  __syncthreads();  // the scratch is free again
  return x;
}

/// A token that is the best so far; larger values first, lower ids on ties.
template <class T>
struct Best {
  T value;
  int id;  ///< -1: none

  __device__ __forceinline__ void take(T other, int other_id) {
    if (other_id >= 0 && (id < 0 || other > value || (other == value && other_id < id))) {
      value = other;
      id = other_id;
    }
  }
};

template <class T>
__device__ __forceinline__ Best<T> reduce_best(Best<T> best, unsigned char* scratch) {
  T* values = reinterpret_cast<T*>(scratch);
  int* ids = reinterpret_cast<int*>(scratch + kWarps * sizeof(T));
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    const T value = __shfl_xor_sync(0xffffffffu, best.value, distance);
    const int id = __shfl_xor_sync(0xffffffffu, best.id, distance);
    best.take(value, id);
  }
  if (threadIdx.x % 32 == 0) {
    values[threadIdx.x / 32] = best.value;
    ids[threadIdx.x / 32] = best.id;
  }
  __syncthreads();
  best = {values[0], ids[0]};
#pragma unroll
  for (int w = 1; w < kWarps; ++w) best.take(values[w], ids[w]);
  __syncthreads();
  return best;
}

// ---- one row ----

/// Scratch of the reductions, then one bit for each id of this rank that the repetition penalty concerns.
constexpr int kScratchBytes = kWarps * (sizeof(double) + sizeof(int));

/// The row of a block: its request, its logits on this rank and which of them the penalty concerns.
struct Row {
  const SampleRequest& request;
  const float* logits;
  const unsigned* marks;
  bool penalised;

  /// Logit i after the repetition penalty.
  __device__ __forceinline__ float shaped(int i) const {
    const float logit = logits[i];
    if (!penalised || !(marks[i / 32] >> (i % 32) & 1)) return logit;
    return logit < 0 ? logit * request.repetition_penalty : logit / request.repetition_penalty;
  }
};

/// Block r has row r. Marks its seen ids; uniform over the block.
__device__ __forceinline__ Row row_of_block(const SampleArrays& a, unsigned* marks) {
  const int row = blockIdx.x;
  const SampleRequest& request = a.requests[row];
  const bool penalised = request.repetition_penalty != 1.0f && request.seen_count > 0;
  if (penalised) {
    for (int i = threadIdx.x; i < (a.count + 31) / 32; i += kThreads) marks[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < request.seen_count; i += kThreads) {
      const int id = a.seen_ids[request.seen_begin + i] - a.first_id;
      if (id >= 0 && id < a.count) atomicOr(&marks[id / 32], 1u << (id % 32));
    }
    __syncthreads();  // all marks are set
  }
  return {request, a.logits + row * a.stride, marks, penalised};
}

/// action(i, logit) for the shaped logits of this thread. Four are on their way at the same time.
template <class Action>
__device__ __forceinline__ void each_logit(const Row& row, int count, Action action) {
  constexpr int kAhead = 4;
  for (int first = threadIdx.x; first < count; first += kAhead * kThreads) {
    float logit[kAhead];
#pragma unroll
    for (int j = 0; j < kAhead; ++j) logit[j] = row.shaped(min(first + j * kThreads, count - 1));
#pragma unroll
    for (int j = 0; j < kAhead; ++j)
      if (first + j * kThreads < count) action(first + j * kThreads, logit[j]);
  }
}

/// A weight in [0, 1] in units of 2^-40.
__device__ __forceinline__ Wide fixed_point(float weight) {
  return static_cast<Wide>(weight * 0x1p40f + 0.5f);
}

/// What all ranks know together about a row.
struct RowSummary {
  float raw_maximum, shaped_maximum;
  bool finite;
};

__device__ __forceinline__ RowSummary summary_of(const StageParams& p, int row) {
  RowSummary all{-INFINITY, -INFINITY, true};
  for (int rank = 0; rank < p.arrays.ranks; ++rank) {
    const SampleStatistics& part = p.statistics[rank * p.arrays.rows + row];
    all.raw_maximum = fmaxf(all.raw_maximum, part.raw_maximum);
    all.shaped_maximum = fmaxf(all.shaped_maximum, part.shaped_maximum);
    all.finite = all.finite && part.finite;
  }
  return all;
}

__device__ __forceinline__ bool samples(const SampleRequest& request) {
  return request.forced_id < 0 && request.temperature > 0;
}

/// Whether a histogram round concerns the row; whether its logits are finite is left aside.
__device__ __forceinline__ bool searches(const SampleRequest& request, int round) {
  return samples(request) && (round < kHistogramRounds ? request.top_k > 0 : request.top_p < 1.0f);
}

__device__ __forceinline__ float weight_of(float logit, float maximum, float inverse_temperature) {
  return expf((logit - maximum) * inverse_temperature);
}

// ---- stages ----

__global__ void __launch_bounds__(kThreads) statistics_kernel(StageParams p) {
  ASSIZE_SHARED(shared);
  const SampleArrays& a = p.arrays;
  const int thread = threadIdx.x;
  const Row row = row_of_block(a, reinterpret_cast<unsigned*>(shared + kScratchBytes));
  const SampleRequest& request = row.request;
  const float* const logits = row.logits;
  SampleStatistics& out = p.own_statistics[blockIdx.x];

  float raw = -INFINITY, after = -INFINITY;
  int finite = 1;
  for (int i = thread; i < a.count; i += kThreads) {
    const float logit = logits[i];
    finite &= fabsf(logit) < INFINITY;
    raw = fmaxf(raw, logit);
    after = fmaxf(after, row.shaped(i));
  }
  raw = reduce(raw, shared, Maximum());
  after = reduce(after, shared, Maximum());
  finite = reduce(finite, shared, Both());

  Wide mass = 0;
  for (int i = thread; finite && i < a.count; i += kThreads) mass += fixed_point(expf(logits[i] - raw));
  mass = reduce(mass, shared, Sum());

  // The most likely ids, one after another: each lies behind the one before.
  const int top_count = finite ? min(request.top_count, min(kMaxTop, a.count)) : 0;
  Best<float> last{INFINITY, -1};
  for (int k = 0; k < top_count; ++k) {
    Best<float> best{0, -1};
    for (int i = thread; i < a.count; i += kThreads) {
      const float logit = logits[i];
      if (logit < last.value || (logit == last.value && i > last.id)) best.take(logit, i);
    }
    last = reduce_best(best, shared);
    if (thread == 0) {
      out.top[k] = last.value;
      out.top_ids[k] = a.first_id + last.id;
    }
  }
  if (thread < kMaxWatch) {
    const int id = thread < request.watch_count ? request.watch_ids[thread] - a.first_id : -1;
    out.watch[thread] = id >= 0 && id < a.count ? logits[id] : -INFINITY;
  }
  if (thread == 0) {
    out.raw_maximum = raw;
    out.shaped_maximum = after;
    out.raw_mass = mass;
    out.finite = finite;
    out.top_count = top_count;
    a.cuts[blockIdx.x] = SampleCut{};
  }
}

/// Bins in two halves: adding 64 bits in one piece to shared memory is a loop of compare and swap, which many threads at the
/// same bin make long.
struct Bins {
  unsigned* low;
  unsigned* high;

  __device__ __forceinline__ void add(unsigned bin, Wide value) const {
    const unsigned part = static_cast<unsigned>(value);
    const unsigned carry = atomicAdd(&low[bin], part) + part < part ? 1 : 0;
    const unsigned rest = static_cast<unsigned>(value >> 32) + carry;
    if (rest > 0) atomicAdd(&high[bin], rest);
  }
};

__global__ void __launch_bounds__(kThreads) histogram_kernel(StageParams p) {
  ASSIZE_SHARED(shared);
  unsigned* const halves = reinterpret_cast<unsigned*>(shared);
  const Bins bins{halves, halves + kHistogramBins};
  const SampleArrays& a = p.arrays;
  const SampleRequest& request = a.requests[blockIdx.x];
  const RowSummary all = summary_of(p, blockIdx.x);
  if (!searches(request, p.round) || !all.finite) return;
  const Row row = row_of_block(a, halves + 2 * kHistogramBins);
  const SampleCut cut = a.cuts[blockIdx.x];
  const int digit = p.round % kHistogramRounds, shift = kDigitBits * (kHistogramRounds - 1 - digit);
  const float inverse_temperature = 1.0f / request.temperature;
  const bool by_count = p.round < kHistogramRounds;
  for (int i = threadIdx.x; i < 2 * kHistogramBins; i += kThreads) halves[i] = 0;
  __syncthreads();  // all bins are empty
  each_logit(row, a.count, [&](int, float logit) {
    const float weight = weight_of(logit, all.shaped_maximum, inverse_temperature);
    const unsigned bits = __float_as_uint(weight);  // of [0, 1]: they order like the values
    if (bits < cut.keep_from || (digit > 0 && bits >> (shift + kDigitBits) != cut.prefix)) return;
    const Wide content = by_count ? 1 : fixed_point(weight);
    if (content > 0) bins.add(bits >> shift & (kHistogramBins - 1), content);
  });
  __syncthreads();
  SampleHistogram& out = p.own_histograms[blockIdx.x];
  for (int i = threadIdx.x; i < kHistogramBins; i += kThreads) {
    out.content[i] = static_cast<Wide>(bins.high[i]) << 32 | bins.low[i];
  }
}

/// One warp per row. Lane l has 32 bins, the largest weights in lane 0.
__global__ void __launch_bounds__(32) cut_kernel(StageParams p) {
  const SampleArrays& a = p.arrays;
  const int row = blockIdx.x, lane = threadIdx.x;
  const SampleRequest& request = a.requests[row];
  if (!searches(request, p.round) || !summary_of(p, row).finite) return;
  SampleCut cut = a.cuts[row];
  __syncwarp();  // one lane will write it
  const auto content = [&](int bin) {
    Wide sum = 0;
    for (int rank = 0; rank < a.ranks; ++rank) sum += p.histograms[rank * a.rows + row].content[bin];
    return sum;
  };
  const int first = kHistogramBins - 1 - 32 * lane;
  Wide own = 0;
  for (int i = 0; i < 32; ++i) own += content(first - i);
  Wide through = own;  // of this lane and those before it
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const Wide other = __shfl_up_sync(0xffffffffu, through, distance);
    if (lane >= distance) through += other;
  }
  const Wide total = __shfl_sync(0xffffffffu, through, 31);

  if (p.round == 0) cut.target = static_cast<Wide>(request.top_k);
  if (p.round == kHistogramRounds)
    cut.target = static_cast<Wide>(static_cast<double>(request.top_p) * static_cast<double>(total));
  // The first bin, from the largest weights on, with which the target is reached; top-k may ask for more than
  // there is.
  const Wide target = cut.target < 1 ? 1 : cut.target > total ? total : cut.target;
  const Wide before = through - own;
  if (before < target && target <= through) {
    Wide sum = before;
    int bin = first;
    for (Wide next = content(bin); sum + next < target; next = content(bin)) {
      sum += next;
      --bin;
    }
    cut.target = target - sum;
    cut.prefix = cut.prefix << kDigitBits | static_cast<unsigned>(bin);
    if (p.round % kHistogramRounds == kHistogramRounds - 1) {
      cut.keep_from = cut.prefix;
      cut.prefix = 0;
    }
    a.cuts[row] = cut;
  }
}

/// 64 random bits of (stream, position, token id): SplitMix64's finaliser over the mixed counters.
__device__ __forceinline__ Wide noise_bits(Wide stream, unsigned position, unsigned id) {
  Wide z = stream + 0x9E3779B97F4A7C15ull * ((static_cast<Wide>(position) << 32 | id) + 1);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

__global__ void __launch_bounds__(kThreads) choose_kernel(StageParams p) {
  ASSIZE_SHARED(shared);
  const SampleArrays& a = p.arrays;
  const int thread = threadIdx.x;
  const Row row = row_of_block(a, reinterpret_cast<unsigned*>(shared + kScratchBytes));
  const SampleRequest& request = row.request;
  const float* const logits = row.logits;
  const RowSummary all = summary_of(p, blockIdx.x);
  SampleChoice& out = p.own_choices[blockIdx.x];
  if (request.forced_id >= 0 || !all.finite) {
    const int id = all.finite ? request.forced_id - a.first_id : -1;
    const bool here = id >= 0 && id < a.count;
    if (thread == 0) out = SampleChoice{0, here ? request.forced_id : -1, here ? logits[id] : 0};
    return;
  }
  Best<double> best{0, -1};
  if (!samples(request)) {
    each_logit(row, a.count, [&](int i, float logit) { best.take(static_cast<double>(logit), i); });
  } else {
    const unsigned keep_from = a.cuts[blockIdx.x].keep_from;
    const double temperature = request.temperature;
    const float inverse_temperature = 1.0f / request.temperature;
    each_logit(row, a.count, [&](int i, float logit) {
      const float weight = weight_of(logit, all.shaped_maximum, inverse_temperature);
      if (__float_as_uint(weight) < keep_from) return;
      const unsigned noise =
          static_cast<unsigned>(noise_bits(request.noise_stream, request.position, a.first_id + i) >> 32);
      // -log(-log u) <= -log(1 - u): most tokens cannot beat the best and cost one logarithm in f32.
      const float scaled = logit * inverse_temperature;
      const float rest = (static_cast<float>(~noise) + 0.5f) * 0x1p-32f;  // 1 - u
      const float bound = scaled - logf(rest) + 1e-3f + 1e-5f * fabsf(scaled);
      if (best.id >= 0 && bound < static_cast<float>(best.value)) return;
      const double u = (static_cast<double>(noise) + 0.5) * 0x1p-32;
      best.take(logit / temperature - log(-log(u)), i);
    });
  }
  best = reduce_best(best, shared);
  if (thread == 0)
    out =
        SampleChoice{best.value, best.id < 0 ? -1 : a.first_id + best.id, best.id < 0 ? 0 : logits[best.id]};
}

/// One warp per row; lane 0 merges what the ranks found.
__global__ void __launch_bounds__(32) finish_kernel(StageParams p) {
  const SampleArrays& a = p.arrays;
  const int row = blockIdx.x, lane = threadIdx.x;
  const SampleRequest& request = a.requests[row];
  SampleOutcome& out = p.outcomes[row];
  const RowSummary all = summary_of(p, row);
  double sum = 0;
  for (int rank = 0; rank < a.ranks; ++rank) {
    const SampleStatistics& part = p.statistics[rank * a.rows + row];
    sum += static_cast<double>(part.raw_mass) * 0x1p-40 *
           exp(static_cast<double>(part.raw_maximum) - static_cast<double>(all.raw_maximum));
  }
  const double log_sum = log(sum);
  const auto logprob = [&](float logit) {
    return static_cast<float>((static_cast<double>(logit) - static_cast<double>(all.raw_maximum)) - log_sum);
  };
  if (lane < kMaxWatch) {
    float logit = -INFINITY;
    for (int rank = 0; rank < a.ranks; ++rank)
      logit = fmaxf(logit, p.statistics[rank * a.rows + row].watch[lane]);
    out.watch_logprobs[lane] = all.finite && lane < request.watch_count ? logprob(logit) : 0.0f;
  }
  if (lane > 0) return;
  Best<double> best{0, -1};
  float raw = 0;
  for (int rank = 0; rank < a.ranks; ++rank) {
    const SampleChoice& choice = p.choices[rank * a.rows + row];
    best.take(choice.value, choice.id);
    if (best.id >= 0 && best.id == choice.id) raw = choice.raw;
  }
  out.ok = all.finite;
  out.id = all.finite ? best.id : -1;
  out.logprob = all.finite && best.id >= 0 ? logprob(raw) : 0.0f;
  // Each rank's list is in order: the k-th of all is the best that lies behind the one before.
  int found = 0;
  Best<float> last{INFINITY, -1};
  for (; all.finite && found < min(request.top_count, kMaxTop); ++found) {
    Best<float> next{0, -1};
    for (int rank = 0; rank < a.ranks; ++rank) {
      const SampleStatistics& part = p.statistics[rank * a.rows + row];
      for (int k = 0; k < part.top_count; ++k)
        if (part.top[k] < last.value || (part.top[k] == last.value && part.top_ids[k] > last.id)) {
          next.take(part.top[k], part.top_ids[k]);
          break;
        }
    }
    if (next.id < 0) break;
    out.top_ids[found] = next.id;
    out.top_logprobs[found] = logprob(next.value);
    last = next;
  }
  out.top_count = found;
}

/// Scratch and the marks of this rank's ids.
std::size_t marked_bytes(const SampleArrays& a, std::size_t scratch) {
  return scratch + static_cast<std::size_t>(a.count + 31) / 32 * 4;
}

}  // namespace

Status sample_statistics(const SampleArrays& arrays, SampleStatistics* own, Stream stream) {
  StageParams p{arrays};
  p.own_statistics = own;
  return launch(statistics_kernel, dim3(arrays.rows), kThreads, marked_bytes(arrays, kScratchBytes), stream,
                p);
}

Status sample_histogram(const SampleArrays& arrays, int round, const SampleStatistics* statistics,
                        SampleHistogram* own, Stream stream) {
  StageParams p{arrays};
  p.round = round;
  p.statistics = statistics;
  p.own_histograms = own;
  return launch(histogram_kernel, dim3(arrays.rows), kThreads, marked_bytes(arrays, sizeof(SampleHistogram)),
                stream, p);
}

Status sample_cut(const SampleArrays& arrays, int round, const SampleStatistics* statistics,
                  const SampleHistogram* histograms, Stream stream) {
  StageParams p{arrays};
  p.round = round;
  p.statistics = statistics;
  p.histograms = histograms;
  return launch(cut_kernel, dim3(arrays.rows), 32, 0, stream, p);
}

Status sample_choose(const SampleArrays& arrays, const SampleStatistics* statistics, SampleChoice* own,
                     Stream stream) {
  StageParams p{arrays};
  p.statistics = statistics;
  p.own_choices = own;
  return launch(choose_kernel, dim3(arrays.rows), kThreads, marked_bytes(arrays, kScratchBytes), stream, p);
}

Status sample_finish(const SampleArrays& arrays, const SampleStatistics* statistics,
                     const SampleChoice* choices, SampleOutcome* outcomes, Stream stream) {
  StageParams p{arrays};
  p.statistics = statistics;
  p.choices = choices;
  p.outcomes = outcomes;
  return launch(finish_kernel, dim3(arrays.rows), 32, 0, stream, p);
}

}  // namespace assize::kernels::cuda
