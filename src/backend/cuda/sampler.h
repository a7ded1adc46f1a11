#pragma once

#include "backend/cuda/product.h"
#include "kernels/cuda/sampling.h"

namespace assize::backend::cuda {

/// Rows whose logits are held at a time.
inline constexpr std::int32_t kSampleRows = 64;

/// Chooses tokens on the device from logits that lie split over the ranks by vocabulary. What the ranks tell
/// each other are statistics, histograms and one candidate a row; logits stay where they are.
class Sampler {
 public:
  Sampler(Queue& queue, Collective& collective, int rank, int ranks);

  /// Device memory for the logits [kSampleRows][count] of a head with `count` rows on this rank.
  float* logits(std::int32_t count);

  /// The next tokens of `samples` (kSampleRows at most) from logits [samples.size()][count] of the ids from
  /// `first_id` on. Waits for them.
  void choose(const float* logits, std::int32_t first_id, std::int32_t count, std::span<const SampleRow> samples,
              std::span<SampleResult> results);

 private:
  /// Parts [ranks][rows] on every rank; a rank writes its own.
  template <class T>
  struct Parts {
    T* all = nullptr;
    T* own(int rank, std::size_t rows) const { return all + static_cast<std::size_t>(rank) * rows; }
  };
  template <class T>
  void gather(const Parts<T>& parts, std::size_t rows);
  void upload_requests(std::span<const SampleRow> samples);

  Queue& queue_;
  Collective& collective_;
  const int rank_, ranks_;
  DeviceArray<float> logits_;
  DeviceArray<std::int32_t> seen_;
  kernels::cuda::SampleRequest* requests_ = nullptr;
  kernels::cuda::SampleCut* cuts_ = nullptr;
  kernels::cuda::SampleOutcome* outcomes_ = nullptr;
  Parts<kernels::cuda::SampleStatistics> statistics_;
  Parts<kernels::cuda::SampleHistogram> histograms_;
  Parts<kernels::cuda::SampleChoice> choices_;
  std::vector<kernels::cuda::SampleRequest> host_requests_;
  std::vector<std::int32_t> host_seen_;
  std::vector<kernels::cuda::SampleOutcome> host_outcomes_;
};

}  // namespace assize::backend::cuda
