#pragma once

#include <cstdint>
#include <random>

namespace assize::base {

/// The numbers of `numpy.random.uniform()` after `numpy.random.seed(seed)`: MT19937 (Matsumoto and Nishimura 1998),
/// 53 bits of two draws (genrand_res53). For orders that published scripts have drawn; never for noise of ours.
class NumpyUniform {
 public:
  explicit NumpyUniform(std::uint32_t seed) : engine_(seed) {}

  /// The next number in [0, 1).
  double next() {
    const auto high = static_cast<double>(engine_() >> 5), low = static_cast<double>(engine_() >> 6);
    return (high * 0x1p26 + low) * 0x1p-53;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace assize::base
