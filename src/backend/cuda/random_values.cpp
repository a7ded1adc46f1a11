#include "backend/cuda/random_values.h"

#include <algorithm>
#include <random>

namespace assize::backend::cuda {

void fill_random(Queue& queue, Bf16* to, std::size_t count) {
  // Some are drawn, then repeated: more than the longest row has, and so that rows of usual widths are not equal.
  std::vector<Bf16> drawn(std::min<std::size_t>(count, (std::size_t{1} << 16) + 7));
  std::minstd_rand random(20261126);
  for (Bf16& value : drawn) {
    float sum = 0;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(random() % 65536) / 65536.0f - 0.5f;
    std::uint32_t bits = 0;
    std::memcpy(&bits, &sum, sizeof bits);
    value = static_cast<Bf16>(bits >> 16);
  }
  queue.upload(drawn.data(), drawn.size() * sizeof(Bf16), to);
  for (std::size_t have = drawn.size(); have < count;) {
    const std::size_t part = std::min(have, count - have);
    ASSIZE_CUDA(cudaMemcpyAsync(to + have, to, part * sizeof(Bf16), cudaMemcpyDeviceToDevice, queue.stream()));
    have += part;
  }
}

}  // namespace assize::backend::cuda
