#include "backend/rope_table.h"

#include <algorithm>
#include <cmath>

namespace assize::backend {

void sin_cos(float angle, float& sine, float& cosine) {
  // pi/2 in three parts of 33 bits: n * part is exact while |n| < 2^20 (fdlibm's constants).
  constexpr double kTwoOverPi = 6.36619772367581382433e-01;
  constexpr double kPart1 = 1.57079632673412561417e+00, kPart2 = 6.07710050630396597660e-11,
                   kPart3 = 2.02226624871116645580e-21;
  const double x = angle;
  const double n = std::nearbyint(x * kTwoOverPi);
  const double r = ((x - n * kPart1) - n * kPart2) - n * kPart3;
  const double s = r * r;
  double sin_r = -1.0 / 1307674368000.0, cos_r = 1.0 / 20922789888000.0;
  for (const double c :
       {1.0 / 6227020800.0, -1.0 / 39916800.0, 1.0 / 362880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0})
    sin_r = sin_r * s + c;
  sin_r *= r;
  for (const double c : {-1.0 / 87178291200.0, 1.0 / 479001600.0, -1.0 / 3628800.0, 1.0 / 40320.0,
                         -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0})
    cos_r = cos_r * s + c;
  const auto quadrant = static_cast<std::int64_t>(n) & 3;
  const double sin_x = quadrant & 1 ? cos_r : sin_r, cos_x = quadrant & 1 ? sin_r : cos_r;
  sine = static_cast<float>(quadrant & 2 ? -sin_x : sin_x);
  cosine = static_cast<float>(quadrant == 1 || quadrant == 2 ? -cos_x : cos_x);
}

void RopeTable::set_positions(const Rope& rope, std::span<const std::int32_t> positions, std::int32_t rows,
                              ThreadPool& pool) {
  if (std::equal(positions.begin(), positions.end(), positions_.begin(), positions_.end()) &&
      rope.inv_freq == inv_freq_ && rope.component == component_ && rope.attention_factor == factor_)
    return;
  positions_.assign(positions.begin(), positions.end());
  inv_freq_ = rope.inv_freq;
  component_ = rope.component;
  factor_ = rope.attention_factor;
  const std::size_t half = inv_freq_.size();
  angles_.resize(static_cast<std::size_t>(rows) * half);
  for (std::int32_t r = 0; r < rows; ++r)
    for (std::size_t j = 0; j < half; ++j)
      angles_[r * half + j] =
          static_cast<float>(positions_[static_cast<std::size_t>(component_[j]) * rows + r]) * inv_freq_[j];
  compute(factor_, pool);
}

void RopeTable::set_angles(std::span<const float> angles, ThreadPool& pool) {
  if (positions_.empty() && std::equal(angles.begin(), angles.end(), angles_.begin(), angles_.end())) return;
  positions_.clear();
  angles_.assign(angles.begin(), angles.end());
  compute(1.0f, pool);
}

void RopeTable::compute(float factor, ThreadPool& pool) {
  cosines_.resize(angles_.size());
  sines_.resize(angles_.size());
  constexpr std::size_t kPerTask = 2048;
  const std::size_t count = angles_.size();
  pool.run(static_cast<int>((count + kPerTask - 1) / kPerTask), [&](int task, int) {
    const std::size_t begin = static_cast<std::size_t>(task) * kPerTask,
                      end = std::min(count, begin + kPerTask);
    for (std::size_t i = begin; i < end; ++i) {
      sin_cos(angles_[i], sines_[i], cosines_[i]);
      sines_[i] *= factor;
      cosines_[i] *= factor;
    }
  });
}

}  // namespace assize::backend
