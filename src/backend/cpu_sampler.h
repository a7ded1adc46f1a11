#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/buffer.h"
#include "backend/thread_pool.h"
#include "kernels/cpu/instruction_set.h"

namespace assize::backend {

/// Rows whose logits are held at a time.
inline constexpr std::int32_t kSampleRows = 32;
inline constexpr std::int32_t kMaxTopLogprobs = 32;
inline constexpr std::int32_t kMaxWatchIds = 16;

/// Chooses tokens from logits that lie split over the ranks at vocabulary quarters. Every sum over the
/// vocabulary is four quarter sums (16 lanes each) added (0 + 1) + (2 + 3), so the outcome is the same at
/// every degree.
///
/// With temperature: the token with the largest logit / temperature + Gumbel noise (base::noise_uniform)
/// among those kept. Top-k keeps the tokens that are at least as likely as the k-th; top-p, after it, the
/// tokens whose strictly more likely ones hold less than top_p of what top-k kept (ties are kept together;
/// never empty).
class CpuSampler {
 public:
  CpuSampler(kernels::InstructionSet set, comm::Comm& group, ThreadPool& pool)
      : set_(set), group_(group), pool_(pool) {}

  /// `logits` [samples.size()][own part of `vocab`], samples.size() <= kSampleRows. Logits are left as they
  /// are.
  void choose(const float* logits, std::int64_t vocab, std::span<const SampleRow> samples,
              std::span<SampleResult> results);

 private:
  struct Range {
    std::int64_t begin, end;  ///< vocabulary ids
  };
  struct Maxima {
    float raw, shaped;  ///< NaN: some logit is not finite
  };
  struct Report {
    float raw_sum;
    std::array<float, kMaxWatchIds> watched;
    std::int32_t top_count;
    std::array<TokenLogprob, kMaxTopLogprobs> top;  ///< raw logits
  };
  struct Mass {
    float sum;
    std::int64_t count;
  };
  struct Choice {
    double value;
    std::int32_t id;  ///< -1: none in this quarter
    float raw;
  };
  /// Groups of 16 tokens that may still matter to the search for a threshold.
  struct GroupList {
    std::uint32_t* groups;
    std::uint32_t* spare;
    std::size_t count, spare_count;
  };
  /// What the rows of this call have found so far.
  struct Row {
    float raw_maximum, shaped_maximum, raw_sum;
    float keep_from;          ///< weight a token must have to be kept
    std::uint32_t low, high;  ///< bits of the bracket of the bisection
    float target;
    bool ok, active;
  };

  Range quarter(int local) const;
  const float* logits_of(std::size_t row, int local) const;
  float* shaped_of(std::size_t row, int local) const;
  float* weights_of(std::size_t row, int local) const;
  GroupList& list_of(std::size_t row, int local);
  void start_list(std::size_t row, int local);
  template <class T, class Body>
  void for_quarters(std::vector<T>& all, const Body& body);

  void find_maxima();
  void make_reports();
  void keep_top_k();
  void keep_top_p();
  Mass mass_above(std::size_t row, int local, std::uint32_t bits);
  template <class Enough>
  void bisect(const Enough& enough);
  Choice choose_in_quarter(std::size_t row, int local) const;
  void write_results(std::span<SampleResult> results);

  kernels::InstructionSet set_;
  comm::Comm& group_;
  ThreadPool& pool_;

  const float* logits_ = nullptr;
  std::int64_t vocab_ = 0, local_ = 0;
  std::size_t quarter_stride_ = 0;  ///< floats of a quarter's weights, a multiple of 16
  std::span<const SampleRow> samples_;
  std::vector<Row> rows_;
  Buffer shaped_, weights_, groups_;
  std::vector<GroupList> lists_;
  std::vector<Maxima> maxima_;
  std::vector<Report> reports_;
  std::vector<Mass> masses_;
  std::vector<Choice> choices_;
  std::vector<std::byte> own_, gathered_;
};

}  // namespace assize::backend
