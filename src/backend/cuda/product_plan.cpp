#include "backend/cuda/product_plan.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "backend/cuda/random_values.h"
#include "base/error.h"

namespace assize::backend::cuda {

namespace {

/// The reference is chosen for this many rows: enough to fill tiles, few enough not to favour the largest.
constexpr std::int32_t kRowsOfReference = 128;
/// Upper ends of the ranges of rows that have an algorithm of their own: tokens being decoded, prompts.
constexpr std::int32_t kRanges[] = {16, 32, 64, 128, 256, 512, 2048};
/// All numbers of rows up to this one must be possible with the last range's; more are taken in parts.
constexpr std::int32_t kMostRows = 8192;
/// Rows at either end of a product whose bits are compared.
constexpr std::int32_t kCompared = 16;
constexpr int kCandidates = 8;
constexpr int kTimedRuns = 6;
/// The weights that a product is timed with are copies that together are larger than an L2 cache.
constexpr std::size_t kBytesOfCopies = std::size_t{192} << 20;
/// Every matrix begins at a multiple of this many bytes.
constexpr std::uint32_t kAlignment = 16;

template <class T>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  ASSIZE_CUDA(cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value));
}

template <class T>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  ASSIZE_CUDA(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value));
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  ASSIZE_CUDA(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value));
}

bool same(const cublasLtMatmulAlgo_t& a, const cublasLtMatmulAlgo_t& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool contains(const std::vector<cublasLtMatmulAlgo_t>& list, const cublasLtMatmulAlgo_t& wanted) {
  return std::any_of(list.begin(), list.end(), [&](const auto& one) { return same(one, wanted); });
}

std::size_t size(std::int64_t rows, std::int64_t cols) { return static_cast<std::size_t>(rows * cols); }

}  // namespace

/// Random numbers to try algorithms with, in the memory that is not handed out: rows, weights one copy after the other, results.
struct ProductPlan::Trial {
  ProductPlan& plan;
  std::int32_t most_rows = 0;  ///< that fit
  int copies = 1;
  Bf16* x = nullptr;
  Bf16* weights = nullptr;
  std::byte* y = nullptr;
  EventHandle begin{true}, end{true};

  Trial(ProductPlan& owner, std::int32_t wanted_rows) : plan(owner) {
    const auto& [in, out, bias, f32, pieces] = plan.shape_;
    const std::size_t weight = size(out, in), y_bytes = size(pieces * out, f32 ? 4 : 2);
    // The bias is read from the rows.
    const std::size_t row = 2 * static_cast<std::size_t>(in) + y_bytes, margin = 4 * 256 + 2 * static_cast<std::size_t>(out);
    const std::size_t least = 2 * weight + margin + kCompared * row;
    std::byte* const spare = plan.queue_.arena().spare(least, "trying products");
    const std::size_t left = plan.queue_.arena().left();
    most_rows = static_cast<std::int32_t>(std::min<std::size_t>(static_cast<std::size_t>(wanted_rows),
                                                                (left - 2 * weight - margin) / row));
    const std::size_t rest = left - 2 * weight - margin - static_cast<std::size_t>(most_rows) * row;
    copies = 1 + static_cast<int>(std::min(kBytesOfCopies / (2 * weight), rest / (2 * weight)));
    const auto aligned = [](std::size_t bytes) { return (bytes + 255) / 256 * 256; };
    const std::size_t x_values = std::max(size(most_rows, in), static_cast<std::size_t>(out));
    const std::size_t random_values = aligned(2 * x_values) / 2 + static_cast<std::size_t>(copies) * weight;
    x = reinterpret_cast<Bf16*>(spare);
    weights = x + aligned(2 * x_values) / 2;
    y = spare + aligned(2 * random_values);
    fill_random(plan.queue_, x, random_values);
  }

  /// Bits [pieces][kCompared][out] of rows from `first` on, of a product of `rows` rows.
  std::vector<std::byte> together(const cublasLtMatmulAlgo_t& algorithm, std::int32_t rows, std::int32_t first) {
    plan.multiply(algorithm, weights, x, rows, y);
    return bits(first, rows);
  }

  /// The same bits, each row computed alone.
  std::vector<std::byte> alone(const cublasLtMatmulAlgo_t& algorithm, std::int32_t first) {
    const std::size_t row = row_bytes(), pieces = static_cast<std::size_t>(plan.shape_.pieces);
    std::vector<std::byte> made(kCompared * pieces * row), one(pieces * row);
    for (std::size_t i = 0; i < kCompared; ++i) {
      plan.multiply(algorithm, weights, x + size(first + static_cast<std::int32_t>(i), plan.shape_.in), 1, y);
      plan.queue_.download(y, one.size(), one.data());
      for (std::size_t piece = 0; piece < pieces; ++piece) {
        std::memcpy(made.data() + (piece * kCompared + i) * row, one.data() + piece * row, row);
      }
    }
    return made;
  }

  std::vector<std::byte> bits(std::int32_t first, std::int32_t rows) {
    const std::size_t row = row_bytes(), part = kCompared * row;
    std::vector<std::byte> made(part * static_cast<std::size_t>(plan.shape_.pieces));
    for (std::int32_t piece = 0; piece < plan.shape_.pieces; ++piece) {
      plan.queue_.download(y + size(piece * rows + first, 1) * row, part, made.data() + static_cast<std::size_t>(piece) * part);
    }
    return made;
  }

  std::size_t row_bytes() const { return size(plan.shape_.out, plan.shape_.f32 ? 4 : 2); }

  /// Milliseconds of one product.
  float time(const cublasLtMatmulAlgo_t& algorithm, std::int32_t rows) {
    const cudaStream_t stream = plan.queue_.stream();
    const std::size_t weight = size(plan.shape_.out, plan.shape_.in);
    plan.multiply(algorithm, weights, x, rows, y);
    ASSIZE_CUDA(cudaEventRecord(begin, stream));
    for (int i = 0; i < kTimedRuns; ++i) {
      plan.multiply(algorithm, weights + static_cast<std::size_t>(i % copies) * weight, x, rows, y);
    }
    ASSIZE_CUDA(cudaEventRecord(end, stream));
    plan.queue_.wait();
    float ms = 0;
    ASSIZE_CUDA(cudaEventElapsedTime(&ms, begin, end));
    return ms / kTimedRuns;
  }
};

// In cuBLASLt's column-major terms: D [out, rows] = A^T B, A [in, out] the weight, B [in, rows] the rows.
ProductPlan::ProductPlan(cublasLtHandle_t handle, Queue& queue, const ProductShape& shape, void* workspace,
                         std::int32_t most_rows)
    : handle_(handle), queue_(queue), shape_(shape), workspace_(workspace) {
  const auto k = static_cast<std::uint64_t>(shape.in / shape.pieces), n = static_cast<std::uint64_t>(shape.out);
  ASSIZE_CUDA(cublasLtMatmulDescCreate(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  set(desc_, CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T});
  set(desc_, CUBLASLT_MATMUL_DESC_TRANSB, std::int32_t{CUBLAS_OP_N});
  const std::int32_t epilogue = shape.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  set(desc_, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
  ASSIZE_CUDA(cublasLtMatrixLayoutCreate(&a_, CUDA_R_16BF, k, n, shape.in));
  ASSIZE_CUDA(cublasLtMatrixLayoutCreate(&b_, CUDA_R_16BF, k, 1, shape.in));
  ASSIZE_CUDA(cublasLtMatrixLayoutCreate(&d_, shape.f32 ? CUDA_R_32F : CUDA_R_16BF, n, 1, shape.out));
  if (shape.pieces > 1) {
    for (const auto layout : {a_, b_, d_}) set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, shape.pieces);
    for (const auto layout : {a_, b_}) set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, static_cast<std::int64_t>(k));
  }
  const std::int32_t largest = *std::prev(std::end(kRanges));
  Trial trial(*this, most_rows == 0 ? largest : std::min(most_rows, largest));
  if (shape.bias) set(desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(trial.x));
  const auto middling = candidates(kRowsOfReference);
  for (const cublasLtMatmulAlgo_t& reference : middling) {
    if (choose(trial, reference, middling, most_rows == 0 ? kMostRows : most_rows)) return;
  }
  throw base::Error("cuBLASLt offers no algorithm for a product of " + std::to_string(shape.in) + " by " +
                        std::to_string(shape.out) + " that gives a row the same bits in any company on " + place() +
                        "; use a GPU of compute capability 8.0 or newer",
                    base::ErrorKind::failed);
}

ProductPlan::~ProductPlan() {
  cublasLtMatrixLayoutDestroy(d_);
  cublasLtMatrixLayoutDestroy(b_);
  cublasLtMatrixLayoutDestroy(a_);
  cublasLtMatmulDescDestroy(desc_);
}

void ProductPlan::set_rows(std::int32_t rows) {
  for (const auto layout : {b_, d_}) set(layout, CUBLASLT_MATRIX_LAYOUT_COLS, static_cast<std::uint64_t>(rows));
  if (shape_.pieces > 1) {
    set(d_, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, std::int64_t{rows} * shape_.out);
  }
}

void ProductPlan::multiply(const cublasLtMatmulAlgo_t& algorithm, const Bf16* weight, const Bf16* x, std::int32_t rows,
                           void* y) {
  set_rows(rows);
  const float one = 1.0f, zero = 0.0f;
  ASSIZE_CUDA(cublasLtMatmul(handle_, desc_, &one, weight, a_, x, b_, &zero, y, d_, y, d_, &algorithm, workspace_,
                             kWorkspaceBytes, queue_.stream()));
}

std::vector<cublasLtMatmulAlgo_t> ProductPlan::candidates(std::int32_t rows) {
  set_rows(rows);
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
      cublasLtMatmulAlgoGetHeuristic(handle_, desc_, a_, b_, d_, d_, preference, kCandidates, found, &count);
  cublasLtMatmulPreferenceDestroy(preference);
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  std::vector<cublasLtMatmulAlgo_t> made;
  for (int i = 0; i < count; ++i) {
    std::uint32_t parts = 0;
    ASSIZE_CUDA(cublasLtMatmulAlgoConfigGetAttribute(&found[i].algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts,
                                                     nullptr));
    if (found[i].state == CUBLAS_STATUS_SUCCESS && parts <= 1) made.push_back(found[i].algo);
  }
  return made;
}

bool ProductPlan::serves(const cublasLtMatmulAlgo_t& candidate, std::int32_t rows) {
  set_rows(rows);
  cublasLtMatmulHeuristicResult_t result{};
  return cublasLtMatmulAlgoCheck(handle_, desc_, a_, b_, d_, d_, &candidate, &result) == CUBLAS_STATUS_SUCCESS &&
         result.workspaceSize <= kWorkspaceBytes;
}

/// Fills choices_; false where the reference does not serve any number of rows with the same bits. `middling` are tried in
/// every range: what is named for few rows is not always the fastest for them.
bool ProductPlan::choose(Trial& trial, const cublasLtMatmulAlgo_t& reference,
                         const std::vector<cublasLtMatmulAlgo_t>& middling, std::int32_t most_rows) {
  choices_.clear();
  for (const std::int32_t rows : {1, 7, kRowsOfReference, most_rows}) {
    if (!serves(reference, std::min(rows, most_rows))) return false;
  }
  const auto first_rows = trial.alone(reference, 0);
  std::vector<cublasLtMatmulAlgo_t> others;  ///< that were seen to give other bits
  std::int32_t below = 0;                    ///< upper end of the range before
  for (const std::int32_t rows : kRanges) {
    if (rows > trial.most_rows) break;
    const std::int32_t fewest = std::max(below + 1, kCompared);
    const auto last_rows = trial.alone(reference, rows - kCompared);
    const auto agrees = [&](const cublasLtMatmulAlgo_t& algorithm) {
      return trial.together(algorithm, fewest, 0) == first_rows &&
             trial.together(algorithm, rows, rows - kCompared) == last_rows && trial.bits(0, rows) == first_rows;
    };
    if (!agrees(reference)) return false;
    std::vector<cublasLtMatmulAlgo_t> equal = {reference};
    std::vector<cublasLtMatmulAlgo_t> tried = candidates(rows);
    tried.insert(tried.end(), middling.begin(), middling.end());
    for (const cublasLtMatmulAlgo_t& candidate : tried) {
      if (contains(equal, candidate) || contains(others, candidate)) continue;
      if (!serves(candidate, below + 1) || !serves(candidate, rows) || !serves(candidate, most_rows)) continue;
      (agrees(candidate) ? equal : others).push_back(candidate);
    }
    choices_.push_back({rows, reference});
    float best = std::numeric_limits<float>::infinity();
    if (equal.size() > 1) {
      for (const cublasLtMatmulAlgo_t& candidate : equal) {
        const float ms = trial.time(candidate, rows);
        if (ms < best) choices_.back().algorithm = candidate;
        best = std::min(best, ms);
      }
    }
    below = rows;
  }
  return true;
}

void ProductPlan::run(const Bf16* weight, const Bf16* bias, const Bf16* x, std::int32_t rows, void* y) {
  if (bias) set(desc_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  auto* out = static_cast<std::byte*>(y);
  for (std::int32_t first = 0; first < rows; first += kMostRows) {
    const std::int32_t part = std::min(kMostRows, rows - first);
    const auto choice = std::find_if(choices_.begin(), choices_.end(), [&](const Choice& c) { return part <= c.most_rows; });
    multiply((choice == choices_.end() ? choices_.back() : *choice).algorithm, weight, x, part, out);
    x += size(part, shape_.in);
    out += size(part, shape_.out) * (shape_.f32 ? 4 : 2);
  }
}

}  // namespace assize::backend::cuda
