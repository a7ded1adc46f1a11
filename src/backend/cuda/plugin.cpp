#include "backend/plugin.h"

#include "backend/cuda/backend.h"

extern "C" __attribute__((visibility("default"))) const assize::backend::Plugin assize_backend_plugin = {
    assize::backend::kPluginVersion, assize::backend::cuda::count_gpus, assize::backend::cuda::make_cuda_backend};
