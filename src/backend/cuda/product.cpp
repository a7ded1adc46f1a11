#include "backend/cuda/product.h"

#include <algorithm>

#include "base/error.h"

namespace assize::backend::cuda {

namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
/// The algorithm is chosen for this many rows: enough to fill tiles, few enough not to favour the largest.
constexpr std::uint64_t kRowsOfChoice = 128;
/// All numbers of rows up to this one must be possible with it; more are taken in parts.
constexpr std::int32_t kMostRows = 8192;
constexpr int kCandidates = 16;
/// Every matrix begins at a multiple of this many bytes.
constexpr std::uint32_t kAlignment = 16;

template <class T>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  ASSIZE_CUDA(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value));
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  ASSIZE_CUDA(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
}

}  // namespace

/// In cuBLASLt's column-major terms: D [out, rows] = A^T B, A [in, out] the weight, B [in, rows] the rows.
struct Product::Plan {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulAlgo_t algorithm{};

  explicit Plan(const Shape& shape) {
    const auto [in, out, biased, f32] = shape;
    const auto k = static_cast<std::uint64_t>(in), n = static_cast<std::uint64_t>(out);
    ASSIZE_CUDA(cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set(desc, CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T});
    set(desc, CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t{CUBLAS_OP_N});
    const std::int32_t epilogue = biased ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    ASSIZE_CUDA(cublasLtMatrixLayoutCreate(&a, CUDA_R_16BF, k, n, in));
    ASSIZE_CUDA(cublasLtMatrixLayoutCreate(&b, CUDA_R_16BF, k, kRowsOfChoice, in));
    ASSIZE_CUDA(cublasLtMatrixLayoutCreate(&d, f32 ? CUDA_R_32F : CUDA_R_16BF, n, kRowsOfChoice, out));
  }
  ~Plan() {
    cublasLtMatrixLayoutDestroy(d);
    cublasLtMatrixLayoutDestroy(b);
    cublasLtMatrixLayoutDestroy(a);
    cublasLtMatmulDescDestroy(desc);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  void set_rows(std::uint64_t rows) {
    ASSIZE_CUDA(cublasLtMatrixLayoutSetAttribute(b, CUBLASLT_MATRIX_LAYOUT_COLS, &rows, sizeof rows));
    ASSIZE_CUDA(cublasLtMatrixLayoutSetAttribute(d, CUBLASLT_MATRIX_LAYOUT_COLS, &rows, sizeof rows));
  }

  /// Whether `candidate` sums in one piece and serves any number of rows.
  bool serves(cublasLtHandle_t handle, const cublasLtMatmulAlgo_t& candidate) {
    std::uint32_t pieces = 0;
    ASSIZE_CUDA(cublasLtMatmulAlgoConfigGetAttribute(&candidate, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &pieces,
                                                     sizeof pieces, nullptr));
    if (pieces > 1) return false;
    for (const std::uint64_t rows : {std::uint64_t{1}, std::uint64_t{7}, kRowsOfChoice, std::uint64_t{kMostRows}}) {
      set_rows(rows);
      cublasLtMatmulHeuristicResult_t result{};
      if (cublasLtMatmulAlgoCheck(handle, desc, a, b, d, d, &candidate, &result) != CUBLAS_STATUS_SUCCESS) return false;
      if (result.workspaceSize > kWorkspaceBytes) return false;
    }
    return true;
  }

  void choose(cublasLtHandle_t handle) {
    cublasLtMatmulPreference_t preference = nullptr;
    ASSIZE_CUDA(cublasLtMatmulPreferenceCreate(&preference));
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
    set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
    for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      set(preference, attribute, kAlignment);
    }
    cublasLtMatmulHeuristicResult_t found[kCandidates];
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, d, d, preference, kCandidates, found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    for (int i = 0; i < count; ++i) {
      if (found[i].state != CUBLAS_STATUS_SUCCESS || !serves(handle, found[i].algo)) continue;
      algorithm = found[i].algo;
      return;
    }
    throw base::Error("cuBLASLt offers no algorithm without split-K that serves every number of rows on " + place() +
                          "; use a GPU of compute capability 8.0 or newer",
                      base::ErrorKind::failed);
  }
};

Product::Product(Queue& queue) : queue_(queue) {
  ASSIZE_CUDA(cublasLtCreate(&handle_));
  workspace_ = queue.arena().take(kWorkspaceBytes, "cuBLASLt");
}

Product::~Product() {
  plans_.clear();
  cublasLtDestroy(handle_);
}

Product::Plan& Product::plan_of(const Shape& shape) {
  std::unique_ptr<Plan>& plan = plans_[shape];
  if (!plan) {
    auto made = std::make_unique<Plan>(shape);
    made->choose(handle_);
    plan = std::move(made);
  }
  return *plan;
}

void Product::run(const CudaLinear& weight, const Bf16* x, std::int32_t rows, const Bf16* bias, bool f32, void* y) {
  if (rows == 0) return;
  Plan& plan = plan_of({weight.in_features, weight.out_features, bias != nullptr, f32});
  if (bias) set(plan.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  const float one = 1.0f, zero = 0.0f;
  auto* out = static_cast<std::byte*>(y);
  for (std::int32_t first = 0; first < rows; first += kMostRows) {
    const std::int32_t part = std::min(kMostRows, rows - first);
    plan.set_rows(static_cast<std::uint64_t>(part));
    ASSIZE_CUDA(cublasLtMatmul(handle_, plan.desc, &one, weight.weight, plan.a, x, plan.b, &zero, out, plan.d, out, plan.d,
                               &plan.algorithm, workspace_, kWorkspaceBytes, queue_.stream()));
    x += static_cast<std::size_t>(part) * static_cast<std::size_t>(weight.in_features);
    out += static_cast<std::size_t>(part) * static_cast<std::size_t>(weight.out_features) * (f32 ? 4 : 2);
  }
}

void Product::multiply(const CudaLinear& weight, const Bf16* x, std::int32_t rows, Bf16* y) {
  run(weight, x, rows, weight.bias, false, y);
}

void Product::multiply_f32(const CudaLinear& weight, const Bf16* x, std::int32_t rows, float* y) {
  run(weight, x, rows, nullptr, true, y);
}

}  // namespace assize::backend::cuda
