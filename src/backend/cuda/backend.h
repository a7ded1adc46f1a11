#pragma once

#include <memory>

#include "backend/backend.h"

namespace assize::backend::cuda {

/// GPUs that this process sees. Throws Error, with the driver's words, where none can be used.
int count_gpus();

/// The backend of one rank on GPU `gpu` of those that this process sees (numerics bf16). Collective over the
/// group: an Error of one rank is thrown on all. `group` must outlive it.
std::unique_ptr<Backend> make_cuda_backend(comm::Comm& group, int gpu);

}  // namespace assize::backend::cuda
