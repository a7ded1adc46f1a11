#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "cublasLt.h"

struct StandInLtHandle {};

struct StandInMatmulDesc {
  std::int32_t transpose_a = CUBLAS_OP_N;
  std::int32_t transpose_b = CUBLAS_OP_N;
  std::int32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};

struct StandInLayout {
  cudaDataType type;
  std::uint64_t rows, cols;
  std::int64_t leading;
  std::int32_t batch = 1;
  std::int64_t stride = 0;  ///< values from one matrix of the batch to the next
};

struct StandInPreference {
  std::uint64_t workspace = 0;
  std::uint32_t reduction_mask = 0x7F;
  std::uint32_t alignment[4] = {256, 256, 256, 256};  ///< of a, b, c, d: the real defaults
};

namespace {

constexpr std::size_t kWorkspace = 4096;  // what every algorithm here asks for

/// In which order of k an algorithm adds.
enum class Order : std::uint32_t {
  by_company,  ///< ascending up to kFewColumns columns, descending from there on
  ascending,
  descending,
};
constexpr std::uint64_t kFewColumns = 40;

/// What an algorithm holds.
struct Chosen {
  std::uint32_t magic = 0xA551'2E00;
  Order order = Order::by_company;
  std::uint32_t split_k = 1;
  std::uint32_t output_type = 0;
  std::uint32_t epilogue = 0;
  std::uint32_t alignment[4] = {};
  std::uint64_t depth = 0;
};
static_assert(sizeof(Chosen) <= sizeof(cublasLtMatmulAlgo_t));

Chosen chosen_by(const cublasLtMatmulAlgo_t& algo) {
  Chosen chosen;
  std::memcpy(static_cast<void*>(&chosen), &algo, sizeof chosen);
  return chosen;
}

template <class T>
cublasStatus_t copy_value(T& target, const void* value, std::size_t bytes) {
  if (bytes != sizeof target) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&target, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return 0x7FFF;
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
}

bool fits(const StandInLayout& layout) {
  return layout.rows > 0 && layout.cols > 0 && layout.leading >= static_cast<std::int64_t>(layout.rows);
}

/// D [m, n] = op(A) op(B), all column-major; here always A transposed and B as it is.
cublasStatus_t check_problem(const StandInMatmulDesc& desc, const StandInLayout& a, const StandInLayout& b,
                             const StandInLayout& c, const StandInLayout& d) {
  if (!fits(a) || !fits(b) || !fits(c) || !fits(d)) return CUBLAS_STATUS_INVALID_VALUE;
  if (a.rows != b.rows || a.cols != d.rows || b.cols != d.cols) return CUBLAS_STATUS_INVALID_VALUE;
  if (c.rows != d.rows || c.cols != d.cols || c.type != d.type) return CUBLAS_STATUS_INVALID_VALUE;
  if (desc.transpose_a != CUBLAS_OP_T || desc.transpose_b != CUBLAS_OP_N) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (a.type != CUDA_R_16BF || b.type != CUDA_R_16BF) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (a.batch != b.batch || a.batch != c.batch || a.batch != d.batch || a.batch < 1) return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

std::size_t bytes_of(const StandInLayout& layout) {
  const auto elements = static_cast<std::size_t>(layout.stride * (layout.batch - 1)) +
                        static_cast<std::size_t>(layout.leading) * (layout.cols - 1) + layout.rows;
  return elements * (layout.type == CUDA_R_32F ? 4 : 2);
}

/// One matrix of a batch. Without fused multiply-adds, so that both clones give the same bits.
[[gnu::target_clones("avx2", "default")]] void multiply(bool ascending, const StandInLayout& a, const std::uint16_t* weights, const StandInLayout& b, const std::uint16_t* x,
              const std::uint16_t* bias, const StandInLayout& d, void* out) {
  const std::size_t depth = a.rows, outputs = a.cols, rows = b.cols;
  std::vector<float> weight(depth), inputs(depth * rows), sums(rows);
  // [k][row], so that the sums of all rows go forward together.
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < depth; ++k) {
      inputs[k * rows + r] = from_bf16(x[r * static_cast<std::size_t>(b.leading) + k]);
    }
  }
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t k = 0; k < depth; ++k) weight[k] = from_bf16(weights[o * static_cast<std::size_t>(a.leading) + k]);
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (std::size_t i = 0; i < depth; ++i) {
      const std::size_t k = ascending ? i : depth - 1 - i;
      const float w = weight[k];
      const float* const input = inputs.data() + k * rows;
      for (std::size_t r = 0; r < rows; ++r) sums[r] += w * input[r];
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const float sum = sums[r] + (bias ? from_bf16(bias[o]) : 0.0f);
      const std::size_t at = r * static_cast<std::size_t>(d.leading) + o;
      if (d.type == CUDA_R_32F) {
        static_cast<float*>(out)[at] = sum;
      } else {
        static_cast<std::uint16_t*>(out)[at] = to_bf16(sum);
      }
    }
  }
}

bool aligned(const void* pointer, std::uint32_t alignment) {
  return reinterpret_cast<std::uintptr_t>(pointer) % alignment == 0;
}

}  // namespace

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown status";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new StandInLtHandle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *desc = new StandInMatmulDesc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return copy_value(desc->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return copy_value(desc->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return copy_value(desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return copy_value(desc->bias, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t cols, std::int64_t leading_dimension) {
  *layout = new StandInLayout{type, rows, cols, leading_dimension};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_COLS: return copy_value(layout->cols, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return copy_value(layout->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return copy_value(layout->stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new StandInPreference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return copy_value(preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return copy_value(preference->reduction_mask, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return copy_value(preference->alignment[0], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return copy_value(preference->alignment[1], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return copy_value(preference->alignment[2], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return copy_value(preference->alignment[3], value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                                              int wanted, cublasLtMatmulHeuristicResult_t results[], int* found) {
  *found = 0;
  const cublasStatus_t status = check_problem(*desc, *a, *b, *c, *d);
  if (status != CUBLAS_STATUS_SUCCESS || wanted < 1) return status;
  if (preference->workspace < kWorkspace) return CUBLAS_STATUS_NOT_SUPPORTED;
  Chosen chosen;
  // Whoever does not forbid it may be given a product that is cut along k.
  chosen.split_k = preference->reduction_mask == CUBLASLT_REDUCTION_SCHEME_NONE ? 1 : 2;
  chosen.output_type = d->type;
  chosen.epilogue = static_cast<std::uint32_t>(desc->epilogue);
  std::copy_n(preference->alignment, 4, chosen.alignment);
  chosen.depth = a->rows;
  // The first one is the one to beware of: its bits depend on the number of columns.
  for (const Order order : {Order::by_company, Order::ascending, Order::descending}) {
    if (*found == wanted) break;
    chosen.order = order;
    cublasLtMatmulHeuristicResult_t& result = results[(*found)++];
    result = {};
    std::memcpy(&result.algo, &chosen, sizeof chosen);
    result.workspaceSize = kWorkspace;
    result.state = CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t* algo, cublasLtMatmulHeuristicResult_t* result) {
  const cublasStatus_t status = check_problem(*desc, *a, *b, *c, *d);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const Chosen chosen = chosen_by(*algo);
  const bool same = chosen.magic == Chosen{}.magic && chosen.output_type == static_cast<std::uint32_t>(d->type) &&
                    chosen.epilogue == static_cast<std::uint32_t>(desc->epilogue) && chosen.depth == a->rows;
  if (!same) return CUBLAS_STATUS_INVALID_VALUE;
  result->workspaceSize = kWorkspace;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void* value,
                                                    std::size_t bytes, std::size_t* written) {
  const Chosen chosen = chosen_by(*algo);
  if (attribute != CUBLASLT_ALGO_CONFIG_SPLITK_NUM || bytes != sizeof chosen.split_k) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &chosen.split_k, bytes);
  if (written) *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (!algo) return CUBLAS_STATUS_INVALID_VALUE;  // the real one would choose by itself: another one each time
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status =
      cublasLtMatmulAlgoCheck(handle, desc, a_layout, b_layout, c_layout, d_layout, algo, &result);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  float factor = 0, addend = 1;
  std::memcpy(&factor, alpha, sizeof factor);
  std::memcpy(&addend, beta, sizeof addend);
  if (factor != 1.0f || addend != 0.0f) return CUBLAS_STATUS_NOT_SUPPORTED;
  const Chosen chosen = chosen_by(*algo);
  const void* pointers[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    if (!aligned(pointers[i], chosen.alignment[i])) return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (workspace_bytes < kWorkspace || !aligned(workspace, 256)) return CUBLAS_STATUS_INVALID_VALUE;
  const void* bias = desc->epilogue == CUBLASLT_EPILOGUE_BIAS ? desc->bias : nullptr;
  if (desc->epilogue == CUBLASLT_EPILOGUE_BIAS && (!bias || d_layout->type != CUDA_R_16BF)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  using cuda_stand_in::on_device;
  if (!on_device(a, bytes_of(*a_layout)) || !on_device(b, bytes_of(*b_layout)) || !on_device(d, bytes_of(*d_layout)) ||
      !on_device(workspace, workspace_bytes) || (bias && !on_device(bias, 2 * d_layout->rows))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  cuda_stand_in::enqueue(stream, [=, al = *a_layout, bl = *b_layout, dl = *d_layout] {
    const bool ascending =
        chosen.order == Order::ascending || (chosen.order == Order::by_company && bl.cols <= kFewColumns);
    for (std::int64_t i = 0; i < al.batch; ++i) {
      multiply(ascending, al, static_cast<const std::uint16_t*>(a) + i * al.stride, bl,
               static_cast<const std::uint16_t*>(b) + i * bl.stride, static_cast<const std::uint16_t*>(bias), dl,
               static_cast<char*>(d) + i * dl.stride * (dl.type == CUDA_R_32F ? 4 : 2));
    }
    return true;
  });
  return CUBLAS_STATUS_SUCCESS;
}
