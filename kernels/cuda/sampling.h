#pragma once

#include <cstdint>

#include "kernels/cuda/types.h"

namespace assize::kernels::cuda {

// Sampling by Gumbel-max with temperature, top-k and top-p on logits that are split over the tensor-parallel
// ranks by vocabulary. Sums are of fixed-point integers, so they depend on no order. The stages below run one
// after another on every rank; after each that writes `own` parts, [rows] of them, the parts of all ranks are
// gathered in rank order into [ranks][rows] and handed to the next stage (one rank: own is what is gathered).
//
//   statistics, gather
//   rounds 0, 1, 2 (where any row has top_k > 0) and 3, 4, 5 (where any has top_p < 1): histogram, gather,
//   cut choose, gather, finish
//
// A kept token: top-k keeps those at least as likely as the k-th; top-p, after it, those whose strictly more
// likely ones hold less than top_p of what top-k kept. Noise as in base/noise.h.

inline constexpr int kMaxTop = 32;
inline constexpr int kMaxWatch = 16;
inline constexpr int kHistogramBins = 1024;
/// Histogram stages of top-k and of top-p.
inline constexpr int kHistogramRounds = 3;

/// How the next token of one row is chosen and what is reported.
struct SampleRequest {
  std::uint64_t noise_stream = 0;
  std::uint32_t position = 0;
  float temperature = 0;         ///< 0 = greedy, the lowest id on ties
  float top_p = 1;               ///< 1 = off
  std::int32_t top_k = 0;        ///< 0 = off
  float repetition_penalty = 1;  ///< 1 = off; over seen_ids [seen_begin, seen_begin + seen_count)
  std::int32_t seen_begin = 0;
  std::int32_t seen_count = 0;
  std::int32_t forced_id = -1;  ///< >= 0: this id instead
  std::int32_t top_count = 0;   ///< most likely ids to report, up to kMaxTop
  std::int32_t watch_count = 0;
  std::int32_t watch_ids[kMaxWatch] = {};
};

/// What one rank knows of one row after a pass over its logits.
struct SampleStatistics {
  float raw_maximum = 0;
  float shaped_maximum = 0;    ///< after the repetition penalty
  std::uint64_t raw_mass = 0;  ///< sum of e^(logit - raw_maximum) in units of 2^-40
  std::int32_t finite = 0;     ///< 0: a logit is NaN or infinite
  std::int32_t top_count = 0;
  float watch[kMaxWatch] = {};  ///< logits of the watched ids of this rank, -infinity for others
  float top[kMaxTop] = {};      ///< largest logits, lower id first on ties
  std::int32_t top_ids[kMaxTop] = {};
};

/// Weights e^((logit - maximum) / temperature) of one rank and row by ten bits of their representation: for top-k how many
/// there are, for top-p their sum in units of 2^-40.
struct SampleHistogram {
  std::uint64_t content[kHistogramBins];
};

/// Where the search for the smallest kept weight stands; the same on every rank.
struct SampleCut {
  std::uint32_t keep_from = 0;  ///< bits of the smallest weight that is kept
  std::uint32_t prefix = 0;     ///< bits found so far
  std::uint64_t target = 0;     ///< count (top-k) or mass (top-p) still to be covered below the bins passed
};

/// The best token of one rank and row.
struct SampleChoice {
  double value = 0;
  std::int32_t id = -1;  ///< -1: none here
  float raw = 0;         ///< its logit
};

/// The outcome of one row. Log-probabilities are of the raw logits before temperature.
struct SampleOutcome {
  std::int32_t id = -1;
  float logprob = 0;
  std::int32_t ok = 0;  ///< 0: a logit is NaN or infinite
  std::int32_t top_count = 0;
  float watch_logprobs[kMaxWatch] = {};
  float top_logprobs[kMaxTop] = {};
  std::int32_t top_ids[kMaxTop] = {};
};

/// Device pointers of one sampling. Row r reads logits + r * stride: those of ids first_id ... first_id +
/// count - 1.
struct SampleArrays {
  const SampleRequest* requests = nullptr;  ///< [rows]
  const std::int32_t* seen_ids = nullptr;
  const float* logits = nullptr;
  std::int64_t stride = 0;
  std::int32_t first_id = 0;
  std::int32_t count = 0;
  std::int32_t rows = 0;
  std::int32_t ranks = 1;
  SampleCut* cuts = nullptr;  ///< [rows], written and read by the stages
};

/// Also resets arrays.cuts.
Status sample_statistics(const SampleArrays& arrays, SampleStatistics* own, Stream stream);

/// round 0 .. 5: the first three search top-k's threshold, the others top-p's. Rows without it are skipped.
Status sample_histogram(const SampleArrays& arrays, int round, const SampleStatistics* statistics,
                        SampleHistogram* own, Stream stream);

/// Narrows arrays.cuts by the gathered histograms of the round.
Status sample_cut(const SampleArrays& arrays, int round, const SampleStatistics* statistics,
                  const SampleHistogram* histograms, Stream stream);

/// Reads arrays.cuts.
Status sample_choose(const SampleArrays& arrays, const SampleStatistics* statistics, SampleChoice* own,
                     Stream stream);

Status sample_finish(const SampleArrays& arrays, const SampleStatistics* statistics,
                     const SampleChoice* choices, SampleOutcome* outcomes, Stream stream);

}  // namespace assize::kernels::cuda
