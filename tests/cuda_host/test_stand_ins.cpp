#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <vector>

#include "support/catch.h"

namespace {

/// Device and pinned memory of one test.
struct Memory {
  void* device = nullptr;
  void* other = nullptr;
  int* host = nullptr;
  cudaStream_t stream = nullptr;
  explicit Memory(std::size_t bytes) {
    REQUIRE(cudaMalloc(&device, bytes) == cudaSuccess);
    REQUIRE(cudaMalloc(&other, bytes) == cudaSuccess);
    void* pinned = nullptr;
    REQUIRE(cudaMallocHost(&pinned, bytes) == cudaSuccess);
    host = static_cast<int*>(pinned);
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  }
  ~Memory() {
    cudaStreamDestroy(stream);
    cudaFreeHost(host);
    cudaFree(other);
    cudaFree(device);
  }
};

}  // namespace

TEST_CASE("the stand-in's streams do their work late, in order, and after the events they wait for") {
  Memory memory(64);
  memory.host[0] = 1;
  REQUIRE(cudaMemcpyAsync(memory.device, memory.host, 4, cudaMemcpyHostToDevice, memory.stream) == cudaSuccess);
  memory.host[0] = 2;  // before the copy: a mistake that shows
  int seen = 0;
  std::memcpy(&seen, memory.device, 4);
  CHECK(seen == -1);  // device memory begins as 0xFF
  CHECK(cudaStreamSynchronize(memory.stream) == cudaSuccess);
  std::memcpy(&seen, memory.device, 4);
  CHECK(seen == 2);

  cudaStream_t copy = nullptr;
  cudaEvent_t copied = nullptr;
  cudaStreamCreateWithFlags(&copy, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&copied, cudaEventDisableTiming);
  memory.host[0] = 3;
  cudaMemcpyAsync(memory.device, memory.host, 4, cudaMemcpyHostToDevice, copy);
  SECTION("with a wait the other stream sees the copy") {
    cudaEventRecord(copied, copy);
    cudaStreamWaitEvent(memory.stream, copied, 0);
    cudaMemcpyAsync(memory.other, memory.device, 4, cudaMemcpyDeviceToDevice, memory.stream);
    cudaStreamSynchronize(memory.stream);
    std::memcpy(&seen, memory.other, 4);
    CHECK(seen == 3);
  }
  SECTION("without a wait it sees the old bytes, every time") {
    cudaMemcpyAsync(memory.other, memory.device, 4, cudaMemcpyDeviceToDevice, memory.stream);
    cudaStreamSynchronize(memory.stream);
    std::memcpy(&seen, memory.other, 4);
    CHECK(seen == 2);
  }
  cudaEventDestroy(copied);
  cudaStreamDestroy(copy);
}

TEST_CASE("the stand-in refuses copies from pageable memory and beyond the end") {
  Memory memory(64);
  int pageable = 0;
  CHECK(cudaMemcpyAsync(memory.device, &pageable, 4, cudaMemcpyHostToDevice, memory.stream) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(memory.device, memory.host, 65, cudaMemcpyHostToDevice, memory.stream) == cudaErrorInvalidValue);
  CHECK(cudaMemcpyAsync(memory.host, memory.host, 4, cudaMemcpyDeviceToHost, memory.stream) == cudaErrorInvalidValue);
  CHECK(cudaMemsetAsync(static_cast<char*>(memory.device) + 60, 0, 8, memory.stream) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaSuccess);
  void* huge = nullptr;
  CHECK(cudaMalloc(&huge, std::size_t{1} << 40) == cudaErrorMemoryAllocation);
  cudaGetLastError();
}

namespace {

/// y [rows, out] = x [rows, in] w [out, in]^T with in = 3, out = 2, rows = 2, as the backend asks for it.
struct Problem {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;

  Problem(cudaDataType type, std::int64_t leading, std::int32_t epilogue, std::uint32_t alignment, std::uint32_t mask,
          std::uint64_t workspace = 1 << 20) {
    cublasLtCreate(&handle);
    cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const std::int32_t transposed = CUBLAS_OP_T;
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    cublasLtMatrixLayoutCreate(&a, CUDA_R_16BF, 3, 2, leading);
    cublasLtMatrixLayoutCreate(&b, CUDA_R_16BF, 3, 2, 3);
    cublasLtMatrixLayoutCreate(&d, type, 2, 2, 2);
    cublasLtMatmulPreferenceCreate(&preference);
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &mask, sizeof mask);
    for (const auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
      cublasLtMatmulPreferenceSetAttribute(preference, attribute, &alignment, sizeof alignment);
    }
  }
  ~Problem() {
    cublasLtMatmulPreferenceDestroy(preference);
    for (auto layout : {a, b, d}) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(desc);
    cublasLtDestroy(handle);
  }
  cublasStatus_t choose() {
    return cublasLtMatmulAlgoGetHeuristic(handle, desc, a, b, d, d, preference, 1, &found, &count);
  }
  std::uint32_t pieces() const {
    std::uint32_t made = 0;
    cublasLtMatmulAlgoConfigGetAttribute(&found.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &made, sizeof made, nullptr);
    return made;
  }
  cublasStatus_t run(Memory& memory, std::size_t offset, std::size_t workspace_bytes,
                     const cublasLtMatmulAlgo_t* algorithm) {
    auto* const base = static_cast<char*>(memory.device);
    const float one = 1, zero = 0;
    return cublasLtMatmul(handle, desc, &one, base, a, base + 256 + offset, b, &zero, base + 512, d, base + 512, d,
                          algorithm, memory.other, workspace_bytes, memory.stream);
  }
};

std::uint16_t bf16(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint16_t>(bits >> 16);
}

}  // namespace

TEST_CASE("the stand-in of cuBLASLt multiplies with the real one's layouts") {
  Memory memory(8192);
  Problem problem(CUDA_R_32F, 3, CUBLASLT_EPILOGUE_DEFAULT, 16, CUBLASLT_REDUCTION_SCHEME_NONE);
  REQUIRE(problem.choose() == CUBLAS_STATUS_SUCCESS);
  REQUIRE(problem.count == 1);
  CHECK(problem.pieces() == 1);
  const std::vector<float> w = {1, 2, 3, 4, 5, 6}, x = {1, 0, -1, 2, 1, 0};
  auto* const device = static_cast<std::uint16_t*>(memory.device);
  for (std::size_t i = 0; i < 6; ++i) {
    device[i] = bf16(w[i]);
    device[128 + i] = bf16(x[i]);
  }
  REQUIRE(problem.run(memory, 0, 8192, &problem.found.algo) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(cudaStreamSynchronize(memory.stream) == cudaSuccess);
  float y[4];
  std::memcpy(y, static_cast<char*>(memory.device) + 512, sizeof y);
  CHECK(std::vector<float>(y, y + 4) == std::vector<float>{-2, -2, 4, 13});
}

TEST_CASE("the stand-in of cuBLASLt refuses what the real one refuses") {
  Memory memory(8192);
  SECTION("a leading dimension that is too small") {
    CHECK(Problem(CUDA_R_32F, 2, CUBLASLT_EPILOGUE_DEFAULT, 16, 0).choose() == CUBLAS_STATUS_INVALID_VALUE);
  }
  SECTION("split-K is offered to whoever does not forbid it") {
    Problem problem(CUDA_R_32F, 3, CUBLASLT_EPILOGUE_DEFAULT, 16, 0x7F);
    REQUIRE(problem.choose() == CUBLAS_STATUS_SUCCESS);
    CHECK(problem.pieces() > 1);
  }
  SECTION("no workspace, no algorithm") {
    CHECK(Problem(CUDA_R_32F, 3, CUBLASLT_EPILOGUE_DEFAULT, 16, 0, 0).choose() != CUBLAS_STATUS_SUCCESS);
  }
  SECTION("pointers less aligned than promised, too little workspace, no algorithm") {
    Problem problem(CUDA_R_16BF, 3, CUBLASLT_EPILOGUE_DEFAULT, 16, 0);
    REQUIRE(problem.choose() == CUBLAS_STATUS_SUCCESS);
    CHECK(problem.run(memory, 0, 8192, &problem.found.algo) == CUBLAS_STATUS_SUCCESS);
    CHECK(problem.run(memory, 8, 8192, &problem.found.algo) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(problem.run(memory, 0, 16, &problem.found.algo) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(problem.run(memory, 0, 8192, nullptr) == CUBLAS_STATUS_INVALID_VALUE);
  }
  SECTION("an algorithm chosen for another output type") {
    Problem problem(CUDA_R_16BF, 3, CUBLASLT_EPILOGUE_DEFAULT, 16, 0), other(CUDA_R_32F, 3, CUBLASLT_EPILOGUE_DEFAULT, 16, 0);
    REQUIRE(problem.choose() == CUBLAS_STATUS_SUCCESS);
    CHECK(other.run(memory, 0, 8192, &problem.found.algo) == CUBLAS_STATUS_INVALID_VALUE);
  }
  SECTION("a bias epilogue without a bias, or on f32 results") {
    Problem problem(CUDA_R_16BF, 3, CUBLASLT_EPILOGUE_BIAS, 16, 0), wide(CUDA_R_32F, 3, CUBLASLT_EPILOGUE_BIAS, 16, 0);
    REQUIRE(problem.choose() == CUBLAS_STATUS_SUCCESS);
    CHECK(problem.run(memory, 0, 8192, &problem.found.algo) == CUBLAS_STATUS_NOT_SUPPORTED);
    REQUIRE(wide.choose() == CUBLAS_STATUS_SUCCESS);
    CHECK(wide.run(memory, 0, 8192, &wide.found.algo) == CUBLAS_STATUS_NOT_SUPPORTED);
  }
}

TEST_CASE("an exchange over the stand-in of NCCL is not done before every rank has come") {
  ncclUniqueId id;
  REQUIRE(ncclGetUniqueId(&id) == ncclSuccess);
  ncclComm_t comms[2];
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  CHECK(ncclCommInitRankConfig(&comms[0], 2, id, 0, &config) == ncclInvalidUsage);  // blocking
  config.blocking = 0;
  REQUIRE(ncclCommInitRankConfig(&comms[0], 2, id, 0, &config) == ncclInProgress);
  ncclResult_t state = ncclSuccess;
  ncclCommGetAsyncError(comms[0], &state);
  CHECK(state == ncclInProgress);
  REQUIRE(ncclCommInitRankConfig(&comms[1], 2, id, 1, &config) == ncclInProgress);
  Memory one(1 << 20), two(1 << 20);
  for (int rank = 0; rank < 2; ++rank) {
    ncclCommGetAsyncError(comms[rank], &state);
    CHECK(state == ncclSuccess);
  }
  const std::size_t count = 300001;  // more than one piece of the stand-in
  std::memset(one.device, 1, count);
  std::memset(two.device, 2, count);
  REQUIRE(ncclAllGather(one.device, one.other, count, ncclInt8, comms[0], one.stream) == ncclInProgress);
  CHECK(cudaStreamQuery(one.stream) == cudaSuccess);  // it is not in the stream yet
  ncclCommGetAsyncError(comms[0], &state);
  CHECK(state == ncclSuccess);
  CHECK(cudaStreamQuery(one.stream) == cudaErrorNotReady);
  REQUIRE(ncclAllGather(two.device, two.other, count, ncclInt8, comms[1], two.stream) == ncclInProgress);
  ncclCommGetAsyncError(comms[1], &state);
  // The pieces go to and fro between the ranks.
  for (bool busy = true; busy;) {
    busy = cudaStreamQuery(one.stream) == cudaErrorNotReady;
    busy = cudaStreamQuery(two.stream) == cudaErrorNotReady || busy;
  }
  for (const Memory* memory : {&one, &two}) {
    const auto* bytes = static_cast<const char*>(memory->other);
    CHECK(bytes[0] == 1);
    CHECK(bytes[count - 1] == 1);
    CHECK(bytes[count] == 2);
    CHECK(bytes[2 * count - 1] == 2);
  }
  for (ncclComm_t comm : comms) ncclCommDestroy(comm);
}
