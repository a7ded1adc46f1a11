#include "kernels/cuda/device.h"
#include "kernels/cuda/elementwise.h"

namespace assize::kernels::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;

/// Values of one 16-byte access, or one value where rows do not start at multiples of 16 bytes.
template <int V>
struct Values {
  float v[V];
};

__device__ __forceinline__ Values<8> unpack(const uint4& bits) {
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
  Values<8> x;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    x.v[2 * i] = __uint_as_float(words[i] << 16);
    x.v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
  return x;
}

__device__ __forceinline__ uint4 packed(const Values<8>& x) {
  return {pack(x.v[0], x.v[1]), pack(x.v[2], x.v[3]), pack(x.v[4], x.v[5]), pack(x.v[6], x.v[7])};
}

template <int V>
__device__ __forceinline__ Values<V> load(const Bf16* p) {
  if constexpr (V == 8) {
    return unpack(*reinterpret_cast<const uint4*>(p));
  } else {
    return {to_float(*p)};
  }
}

template <int V>
__device__ __forceinline__ void store(Bf16* p, const Values<V>& x) {
  if constexpr (V == 8) {
    *reinterpret_cast<uint4*>(p) = packed(x);
  } else {
    *p = to_bf16(x.v[0]);
  }
}

/// Sum over the warp, the same in every lane, in a fixed tree.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

// ---- norms: one warp per row ----

struct NormParams {
  const Bf16* x;
  Bf16* residual;  ///< null: plain norm of x; else residual += x first
  const float* weight;
  float epsilon;
  int rows, cols;
  Bf16* out;
};

/// What is done to groups of V values of one row.
template <int V>
struct NormRow {
  const NormParams& p;
  std::int64_t begin;  ///< of the row, in values
  float squares = 0;   ///< of this thread

  /// Adds delta to the residual where there is one, and takes the values into the sum of squares.
  __device__ __forceinline__ void take(Values<V>& x, const Values<V>& delta, int i) {
    if (p.residual) {
#pragma unroll
      for (int j = 0; j < V; ++j) x.v[j] = to_float(to_bf16(x.v[j] + delta.v[j]));
      store<V>(p.residual + begin + i, x);
    }
#pragma unroll
    for (int j = 0; j < V; ++j) squares = fmaf(x.v[j], x.v[j], squares);
  }

  __device__ __forceinline__ float scale(float sum) const {
    return 1.0f / sqrtf(sum / static_cast<float>(p.cols) + p.epsilon);
  }

  __device__ __forceinline__ void put(Values<V> x, float scale, int i) const {
#pragma unroll
    for (int j = 0; j < V; ++j) x.v[j] = x.v[j] * scale * p.weight[i + j];
    store<V>(p.out + begin + i, x);
  }
};

/// Rows of any length, one warp each, read twice.
template <int V>
__global__ void __launch_bounds__(kThreads) norm_kernel(NormParams p) {
  const int lane = threadIdx.x % 32;
  const int number = blockIdx.x * kWarps + threadIdx.x / 32;
  if (number >= p.rows) return;  // no barrier follows; a warp leaves as a whole
  NormRow<V> row{p, static_cast<std::int64_t>(number) * p.cols};
  const Bf16* const x = (p.residual ? p.residual : p.x) + row.begin;
  for (int i = lane * V; i < p.cols; i += 32 * V) {
    Values<V> v = load<V>(x + i), delta{};
    if (p.residual) delta = load<V>(p.x + row.begin + i);
    row.take(v, delta, i);
  }
  const float scale = row.scale(warp_sum(row.squares));
  for (int i = lane * V; i < p.cols; i += 32 * V) row.put(load<V>(x + i), scale, i);
}

/// Block r has row r, of up to 8 kThreads kKept values, in registers: all of it is on its way at the same time.
template <int kKept>
__global__ void __launch_bounds__(kThreads) short_norm_kernel(NormParams p) {
  ASSIZE_SHARED(shared);
  float* const sums = reinterpret_cast<float*>(shared);
  NormRow<8> row{p, static_cast<std::int64_t>(blockIdx.x) * p.cols};
  const Bf16* const x = (p.residual ? p.residual : p.x) + row.begin;
  uint4 kept[kKept], delta[kKept];
#pragma unroll
  for (int n = 0; n < kKept; ++n) {
    const int i = (n * kThreads + static_cast<int>(threadIdx.x)) * 8;
    kept[n] = delta[n] = uint4{};
    if (i >= p.cols) continue;
    kept[n] = *reinterpret_cast<const uint4*>(x + i);
    if (p.residual) delta[n] = *reinterpret_cast<const uint4*>(p.x + row.begin + i);
  }
#pragma unroll
  for (int n = 0; n < kKept; ++n) {
    const int i = (n * kThreads + static_cast<int>(threadIdx.x)) * 8;
    if (i >= p.cols) continue;
    Values<8> v = unpack(kept[n]);
    row.take(v, unpack(delta[n]), i);
    kept[n] = packed(v);
  }
  const float own = warp_sum(row.squares);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = own;
  __syncthreads();  // the sums of all warps are here
  float sum = sums[0];
#pragma unroll
  for (int w = 1; w < kWarps; ++w) sum += sums[w];
  const float scale = row.scale(sum);
#pragma unroll
  for (int n = 0; n < kKept; ++n) {
    const int i = (n * kThreads + static_cast<int>(threadIdx.x)) * 8;
    if (i < p.cols) row.put(unpack(kept[n]), scale, i);
  }
}

Status norm(const NormParams& p, Stream stream) {
  if (p.cols % 8 == 0 && p.cols <= 8192) {
    static_assert(8 * kThreads * 8 == 8192);
    return launch(p.cols <= 4096 ? short_norm_kernel<4> : short_norm_kernel<8>, dim3(p.rows), kThreads,
                  kWarps * sizeof(float), stream, p);
  }
  const dim3 grid((p.rows + kWarps - 1) / kWarps);
  return launch(p.cols % 8 == 0 ? norm_kernel<8> : norm_kernel<1>, grid, kThreads, 0, stream, p);
}

// ---- maps over values ----

enum class Map { add, gelu, to_bf16, to_f32 };

struct MapParams {
  const void* in;
  void* out;
  std::int64_t count;
};

/// Each thread takes one group of V values.
template <Map kMap, int V>
__global__ void __launch_bounds__(kThreads) map_kernel(MapParams p) {
  const std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (i >= p.count) return;
  if constexpr (kMap == Map::to_f32) {
    const Values<V> x = load<V>(static_cast<const Bf16*>(p.in) + i);
#pragma unroll
    for (int j = 0; j < V; ++j) static_cast<float*>(p.out)[i + j] = x.v[j];
  } else if constexpr (kMap == Map::to_bf16) {
    Values<V> x;
#pragma unroll
    for (int j = 0; j < V; ++j) x.v[j] = static_cast<const float*>(p.in)[i + j];
    store<V>(static_cast<Bf16*>(p.out) + i, x);
  } else {
    Bf16* out = static_cast<Bf16*>(p.out) + i;
    Values<V> x = load<V>(out);
    if constexpr (kMap == Map::add) {
      const Values<V> delta = load<V>(static_cast<const Bf16*>(p.in) + i);
#pragma unroll
      for (int j = 0; j < V; ++j) x.v[j] += delta.v[j];
    } else {
#pragma unroll
      for (int j = 0; j < V; ++j) x.v[j] = x.v[j] * 0.5f * (1.0f + erff(x.v[j] * 0.70710678118654752f));
    }
    store<V>(out, x);
  }
}

template <Map kMap>
Status map(const void* in, void* out, std::int64_t count, Stream stream) {
  const int width = count % 8 == 0 ? 8 : 1;
  const std::int64_t per_block = std::int64_t{kThreads} * width;
  const dim3 grid(static_cast<unsigned>((count + per_block - 1) / per_block));
  return launch(width == 8 ? map_kernel<kMap, 8> : map_kernel<kMap, 1>, grid, kThreads, 0, stream,
                MapParams{in, out, count});
}

// ---- SwiGLU: blocks of columns by rows ----

struct SwigluParams {
  const Bf16* gate_up;
  int rows, cols;
  Bf16* out;
};

template <int V>
__global__ void __launch_bounds__(kThreads) swiglu_kernel(SwigluParams p) {
  const int col = (blockIdx.x * kThreads + threadIdx.x) * V;
  if (col >= p.cols) return;
  for (int row = blockIdx.y; row < p.rows; row += gridDim.y) {
    const Bf16* gate = p.gate_up + static_cast<std::int64_t>(row) * 2 * p.cols + col;
    Values<V> x = load<V>(gate);
    const Values<V> up = load<V>(gate + p.cols);
#pragma unroll
    for (int j = 0; j < V; ++j) x.v[j] = x.v[j] / (1.0f + expf(-x.v[j])) * up.v[j];
    store<V>(p.out + static_cast<std::int64_t>(row) * p.cols + col, x);
  }
}

// ---- rows by index: one warp per row ----

struct RowsParams {
  const Bf16* x;
  const std::int32_t* index;
  int rows, cols;
  bool scatter;
  Bf16* out;
};

template <int V>
__global__ void __launch_bounds__(kThreads) rows_kernel(RowsParams p) {
  const int lane = threadIdx.x % 32;
  const int row = blockIdx.x * kWarps + threadIdx.x / 32;
  if (row >= p.rows) return;
  const int other = p.index[row];
  if (other < 0) return;
  const Bf16* from = p.x + static_cast<std::int64_t>(p.scatter ? row : other) * p.cols;
  Bf16* to = p.out + static_cast<std::int64_t>(p.scatter ? other : row) * p.cols;
  for (int i = lane * V; i < p.cols; i += 32 * V) {
    if constexpr (V == 8) {
      *reinterpret_cast<uint4*>(to + i) = *reinterpret_cast<const uint4*>(from + i);
    } else {
      to[i] = from[i];
    }
  }
}

Status copy_rows(const RowsParams& p, Stream stream) {
  const dim3 grid((p.rows + kWarps - 1) / kWarps);
  return launch(p.cols % 8 == 0 ? rows_kernel<8> : rows_kernel<1>, grid, kThreads, 0, stream, p);
}

// ---- sums of parts ----

struct SumParams {
  const float* parts;
  const float* bias;
  std::int64_t count;  ///< values of a part
  int cols;
  Bf16* out;
};

template <int kParts>
__global__ void __launch_bounds__(kThreads) sum_kernel(SumParams p) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.count) return;
  float sum = p.parts[i];
  if constexpr (kParts >= 2) sum += p.parts[p.count + i];
  if constexpr (kParts == 4) sum += p.parts[2 * p.count + i] + p.parts[3 * p.count + i];
  if (p.bias) sum += p.bias[i % p.cols];
  p.out[i] = to_bf16(sum);
}

}  // namespace

Status rms_norm(const Bf16* x, const float* weight, float epsilon, int rows, int cols, Bf16* out,
                Stream stream) {
  return norm({x, nullptr, weight, epsilon, rows, cols, out}, stream);
}

Status add_rms_norm(Bf16* residual, const Bf16* delta, const float* weight, float epsilon, int rows, int cols,
                    Bf16* out, Stream stream) {
  return norm({delta, residual, weight, epsilon, rows, cols, out}, stream);
}

Status add(Bf16* residual, const Bf16* delta, std::int64_t count, Stream stream) {
  return map<Map::add>(delta, residual, count, stream);
}

Status swiglu(const Bf16* gate_up, int rows, int cols, Bf16* out, Stream stream) {
  const int width = cols % 8 == 0 ? 8 : 1;
  const int per_block = kThreads * width;
  const dim3 grid((cols + per_block - 1) / per_block, rows < 32768 ? rows : 32768);
  return launch(width == 8 ? swiglu_kernel<8> : swiglu_kernel<1>, grid, kThreads, 0, stream,
                SwigluParams{gate_up, rows, cols, out});
}

Status gelu(Bf16* x, std::int64_t count, Stream stream) { return map<Map::gelu>(nullptr, x, count, stream); }

Status embed(const Bf16* table, const std::int32_t* ids, int rows, int cols, Bf16* out, Stream stream) {
  return copy_rows({table, ids, rows, cols, false, out}, stream);
}

Status gather_rows(const Bf16* x, const std::int32_t* index, int rows, int cols, Bf16* out, Stream stream) {
  return copy_rows({x, index, rows, cols, false, out}, stream);
}

Status scatter_rows(const Bf16* x, const std::int32_t* index, int rows, int cols, Bf16* out, Stream stream) {
  return copy_rows({x, index, rows, cols, true, out}, stream);
}

Status to_bf16(const float* x, std::int64_t count, Bf16* out, Stream stream) {
  return map<Map::to_bf16>(x, out, count, stream);
}

Status to_f32(const Bf16* x, std::int64_t count, float* out, Stream stream) {
  return map<Map::to_f32>(x, out, count, stream);
}

Status sum_parts(const float* parts, int count, const float* bias, int rows, int cols, Bf16* out,
                 Stream stream) {
  const std::int64_t values = static_cast<std::int64_t>(rows) * cols;
  const dim3 grid(static_cast<unsigned>((values + kThreads - 1) / kThreads));
  const auto kernel = count == 4 ? sum_kernel<4> : count == 2 ? sum_kernel<2> : sum_kernel<1>;
  return launch(kernel, grid, kThreads, 0, stream, SumParams{parts, bias, values, cols, out});
}

}  // namespace assize::kernels::cuda
