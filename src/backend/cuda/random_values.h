#pragma once

#include "backend/cuda/queue.h"

namespace assize::backend::cuda {

/// Fills device memory with values of mean 0 between -2 and 2, the same each time: products with zeros are faster than real
/// ones, and their bits say nothing.
void fill_random(Queue& queue, Bf16* to, std::size_t count);

}  // namespace assize::backend::cuda
