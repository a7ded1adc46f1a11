#include "backend/cuda/check.h"

#include <string_view>

#include "base/broken.h"

namespace assize::backend::cuda {

namespace {

thread_local std::string here;

std::string_view function_name(const char* call) {
  const std::string_view text(call);
  return text.substr(0, text.find('('));
}

[[noreturn]] void fail(const char* call, const std::string& words, const std::string& hint) {
  throw base::Broken(std::string(function_name(call)) + " failed" + (here.empty() ? "" : " on " + here) + ": " + words +
                     "; " + hint);
}

const char* hint_for(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return "see in nvidia-smi what else holds the GPU's memory";
    case cudaErrorInsufficientDriver:
      return "the driver is absent or older than the CUDA that assize was built with; use a node with a newer driver";
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
      return "ask Slurm for GPUs (--gpus-per-node) and see CUDA_VISIBLE_DEVICES";
    default:
      return "see nvidia-smi and the node's kernel log; CUDA_LAUNCH_BLOCKING=1 names the operation at fault";
  }
}

}  // namespace

void set_place(const std::string& place) { here = place; }
const std::string& place() { return here; }

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // not to be found again by a later call
  fail(call, std::string(cudaGetErrorName(error)) + " (" + cudaGetErrorString(error) + ")", hint_for(error));
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(call, cublasLtGetStatusName(status), "CUBLASLT_LOG_LEVEL=2 makes cuBLASLt say more");
}

void check(ncclResult_t result, const char* call) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  fail(call, ncclGetErrorString(result), "NCCL_DEBUG=INFO makes NCCL say more");
}

void check_launch(int status, const char* call) { check(static_cast<cudaError_t>(status), call); }

}  // namespace assize::backend::cuda
