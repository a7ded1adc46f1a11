#include "base/noise.h"

namespace assize::base {

std::uint64_t noise_stream(std::uint64_t seed, Hash128 call) {
  return Hasher().add(seed).add(call.low).add(call.high).digest().low;
}

}  // namespace assize::base
