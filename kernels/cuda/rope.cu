#include "kernels/cuda/device.h"
#include "kernels/cuda/rope.h"

namespace assize::kernels::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kMaxHalf = 128;

/// Sine and cosine of an f32 angle in double precision, rounded to f32: argument reduction by pi/2 in three
/// parts of 33 bits (fdlibm's constants) and Taylor polynomials, exact enough for f32 while |angle| < 2^20.
__device__ __forceinline__ void sin_cos(float angle, float& sine, float& cosine) {
  const double x = angle;
  const double n = rint(x * 6.36619772367581382433e-01);
  const double r = ((x - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) -
                   n * 2.02226624871116645580e-21;
  const double s = r * r;
  double sin_r = -1.0 / 1307674368000.0;
  sin_r = sin_r * s + 1.0 / 6227020800.0;
  sin_r = sin_r * s - 1.0 / 39916800.0;
  sin_r = sin_r * s + 1.0 / 362880.0;
  sin_r = sin_r * s - 1.0 / 5040.0;
  sin_r = sin_r * s + 1.0 / 120.0;
  sin_r = sin_r * s - 1.0 / 6.0;
  sin_r = (sin_r * s + 1.0) * r;
  double cos_r = 1.0 / 20922789888000.0;
  cos_r = cos_r * s - 1.0 / 87178291200.0;
  cos_r = cos_r * s + 1.0 / 479001600.0;
  cos_r = cos_r * s - 1.0 / 3628800.0;
  cos_r = cos_r * s + 1.0 / 40320.0;
  cos_r = cos_r * s - 1.0 / 720.0;
  cos_r = cos_r * s + 1.0 / 24.0;
  cos_r = cos_r * s - 0.5;
  cos_r = cos_r * s + 1.0;
  const int quadrant = static_cast<int>(n) & 3;
  const double sin_x = quadrant & 1 ? cos_r : sin_r, cos_x = quadrant & 1 ? sin_r : cos_r;
  sine = static_cast<float>(quadrant & 2 ? -sin_x : sin_x);
  cosine = static_cast<float>(quadrant == 1 || quadrant == 2 ? -cos_x : cos_x);
}

// ---- bias, rotation and KV write of one row per block ----

struct RopeParams {
  Bf16* qkv;
  const float* bias;
  int rows, heads;
  RopeTables rope;
  const std::int32_t* positions;
  const float* angles;        ///< encoders: [rows, head_dim / 2] instead of positions
  const std::int32_t* slots;  ///< null: no cache
  KvLayer cache;
};

__global__ void __launch_bounds__(kThreads) rope_kernel(RopeParams p) {
  ASSIZE_SHARED(shared);
  float* cosines = reinterpret_cast<float*>(shared);
  float* sines = cosines + kMaxHalf;
  const int row = blockIdx.x, dim = p.cache.head_dim, half = dim / 2;
  const bool rotates = p.positions || p.angles;
  for (int j = threadIdx.x; rotates && j < half; j += kThreads) {
    float angle, factor = 1.0f;
    if (p.angles) {
      angle = p.angles[static_cast<std::int64_t>(row) * half + j];
    } else {
      const int position = p.positions[static_cast<std::int64_t>(p.rope.component[j]) * p.rows + row];
      angle = static_cast<float>(position) * p.rope.inv_freq[j];
      factor = p.rope.attention_factor;
    }
    float sine, cosine;
    sin_cos(angle, sine, cosine);
    sines[j] = sine * factor;
    cosines[j] = cosine * factor;
  }
  __syncthreads();

  const int kv_heads = p.cache.kv_heads, rotated = p.heads + kv_heads;
  Bf16* qkv = p.qkv + static_cast<std::int64_t>(row) * (rotated + kv_heads) * dim;
  const int slot = p.slots ? p.slots[row] : -1;
  Bf16* entry = nullptr;  // of K of kv head 0
  if (slot >= 0)
    entry = p.cache.layer + (slot / kBlockTokens) * p.cache.block_stride +
            static_cast<std::int64_t>(slot % kBlockTokens) * dim;
  const std::int64_t head_stride = std::int64_t{kBlockTokens} * dim;

  // Pairs (j, j + half) of q and k heads.
  const int pairs = rotates ? rotated * half : 0;
  for (int i = threadIdx.x; i < pairs; i += kThreads) {
    const int head = i / half, j = i % half, at = head * dim + j;
    float u = to_float(qkv[at]), v = to_float(qkv[at + half]);
    if (p.bias) {
      u += p.bias[at];
      v += p.bias[at + half];
    }
    const Bf16 first = to_bf16(u * cosines[j] - v * sines[j]);
    const Bf16 second = to_bf16(v * cosines[j] + u * sines[j]);
    qkv[at] = first;
    qkv[at + half] = second;
    if (entry && head >= p.heads) {
      Bf16* key = entry + (head - p.heads) * head_stride + j;
      key[0] = first;
      key[half] = second;
    }
  }
  // v, and all of it where nothing rotates.
  const int end = (rotated + kv_heads) * dim;
  for (int i = (rotates ? rotated * dim : 0) + threadIdx.x; i < end; i += kThreads) {
    Bf16 value = qkv[i];
    if (p.bias) {
      value = to_bf16(to_float(value) + p.bias[i]);
      qkv[i] = value;
    }
    if (entry && i >= rotated * dim) {
      const int from = i - rotated * dim;
      entry[(kv_heads + from / dim) * head_stride + from % dim] = value;
    }
  }
}

// ---- copies of KV blocks ----

struct CopyParams {
  Bf16* cache;
  std::int64_t layer_stride, block_stride;
  int from, to, vectors;  ///< 16-byte vectors of the copied entries of one (K or V, head)
  int head_vectors;       ///< 16-byte vectors of a whole one
};

/// Block (x, y) copies one (K or V, head) = x of layer y.
__global__ void __launch_bounds__(kThreads) copy_kernel(CopyParams p) {
  auto* layer = reinterpret_cast<uint4*>(p.cache + blockIdx.y * p.layer_stride);
  const std::int64_t stride = p.block_stride / 8,
                     head = static_cast<std::int64_t>(blockIdx.x) * p.head_vectors;
  const uint4* from = layer + p.from * stride + head;
  uint4* to = layer + p.to * stride + head;
  for (int i = threadIdx.x; i < p.vectors; i += kThreads) to[i] = from[i];
}

Status rope(const RopeParams& p, Stream stream) {
  return launch(rope_kernel, dim3(p.rows), kThreads, 2 * kMaxHalf * sizeof(float), stream, p);
}

}  // namespace

Status rope_and_store(Bf16* qkv, const float* bias, int rows, int heads, const RopeTables& tables,
                      const std::int32_t* positions, const std::int32_t* slots, const KvLayer& cache,
                      Stream stream) {
  return rope({qkv, bias, rows, heads, tables, positions, nullptr, slots, cache}, stream);
}

Status rotate_qkv(Bf16* qkv, const float* bias, int rows, int heads, int head_dim, const float* angles,
                  Stream stream) {
  if (!bias && !angles) return 0;
  KvLayer shape;
  shape.kv_heads = heads;
  shape.head_dim = head_dim;
  return rope({qkv, bias, rows, heads, {}, nullptr, angles, nullptr, shape}, stream);
}

Status copy_kv_block(const KvLayer& first_layer, std::int64_t layer_stride, int layers, int from, int to,
                     int tokens, Stream stream) {
  const int vectors = first_layer.head_dim / 8;
  return launch(copy_kernel, dim3(2 * first_layer.kv_heads, layers), kThreads, 0, stream,
                CopyParams{first_layer.layer, layer_stride, first_layer.block_stride, from, to,
                           tokens * vectors, kBlockTokens * vectors});
}

}  // namespace assize::kernels::cuda
