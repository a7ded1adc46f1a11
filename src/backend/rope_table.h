#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/thread_pool.h"

namespace assize::backend {

/// sin and cos of an angle, |angle| < 2^20: plain double arithmetic (three-part reduction by pi/2, Taylor
/// series), rounded to float once, so that the bits do not depend on the machine's libm. Error below 0.5001
/// ulp.
void sin_cos(float angle, float& sine, float& cosine);

/// Cos and sin of the rows of a step, kept while the same positions (or angles) come again: every layer of a
/// step asks for the same.
class RopeTable {
 public:
  /// cos and sin [rows, inv_freq.size()] for three-row positions; angles are fp32 products.
  void set_positions(const Rope& rope, std::span<const std::int32_t> positions, std::int32_t rows,
                     ThreadPool& pool);
  /// cos and sin of the given angles, row-major [rows, half].
  void set_angles(std::span<const float> angles, ThreadPool& pool);

  const float* cosines() const { return cosines_.data(); }
  const float* sines() const { return sines_.data(); }

 private:
  void compute(float factor, ThreadPool& pool);

  std::vector<std::int32_t> positions_;
  std::vector<float> inv_freq_;
  std::vector<std::uint8_t> component_;
  float factor_ = 0;
  std::vector<float> angles_, cosines_, sines_;
};

}  // namespace assize::backend
