#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <string>

namespace assize::backend::cuda {

/// Names this rank in every error: "rank 1 of 2, host n7, GPU 1 (NVIDIA ...)". Set once, by the thread that
/// makes the backend and all later calls.
void set_place(const std::string& place);
const std::string& place();

/// Throw Error with the failing call, the library's words, rank, host, GPU and a hint.
void check(cudaError_t error, const char* call);
void check(cublasStatus_t status, const char* call);
void check(ncclResult_t result, const char* call);
/// Of a kernel launch (kernels/cuda), where `call` names the operation.
void check_launch(int status, const char* call);

}  // namespace assize::backend::cuda

/// Makes a call of the CUDA runtime, cuBLASLt or NCCL and checks it.
#define ASSIZE_CUDA(call) ::assize::backend::cuda::check(call, #call)
/// Launches a kernel by its function in kernels/cuda and checks it.
#define ASSIZE_LAUNCH(call) ::assize::backend::cuda::check_launch(call, #call)
