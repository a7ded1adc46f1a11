#include "backend/cuda/sampler.h"

#include <algorithm>

namespace assize::backend::cuda {

namespace k = kernels::cuda;

Sampler::Sampler(Queue& queue, Collective& collective, int rank, int ranks)
    : queue_(queue), collective_(collective), rank_(rank), ranks_(ranks) {
  Arena& arena = queue.arena();
  const auto all = static_cast<std::size_t>(kSampleRows) * static_cast<std::size_t>(ranks);
  requests_ = arena.take_array<k::SampleRequest>(kSampleRows, "sampling");
  cuts_ = arena.take_array<k::SampleCut>(kSampleRows, "sampling");
  outcomes_ = arena.take_array<k::SampleOutcome>(kSampleRows, "sampling");
  statistics_.all = arena.take_array<k::SampleStatistics>(all, "sampling");
  histograms_.all = arena.take_array<k::SampleHistogram>(all, "sampling");
  choices_.all = arena.take_array<k::SampleChoice>(all, "sampling");
}

float* Sampler::logits(std::int32_t count) {
  return logits_.reserve(queue_.arena(), static_cast<std::size_t>(kSampleRows) * static_cast<std::size_t>(count),
                         "logits");
}

template <class T>
void Sampler::gather(const Parts<T>& parts, std::size_t rows) {
  collective_.all_gather(parts.own(rank_, rows), parts.all, rows * sizeof(T), queue_.stream());
}

void Sampler::upload_requests(std::span<const SampleRow> samples) {
  host_requests_.assign(samples.size(), {});
  host_seen_.clear();
  for (std::size_t r = 0; r < samples.size(); ++r) {
    const SampleRow& sample = samples[r];
    k::SampleRequest& request = host_requests_[r];
    request.noise_stream = sample.noise_stream;
    request.position = sample.position;
    request.temperature = sample.temperature;
    request.top_p = sample.top_p;
    request.top_k = sample.top_k;
    request.repetition_penalty = sample.repetition_penalty;
    request.forced_id = sample.forced_id;
    request.top_count = std::min(sample.top_logprobs, k::kMaxTop);
    request.watch_count = static_cast<std::int32_t>(sample.watch_ids.size());
    std::copy_n(sample.watch_ids.begin(), sample.watch_ids.size(), request.watch_ids);
    if (sample.repetition_penalty == 1.0f) continue;
    request.seen_begin = static_cast<std::int32_t>(host_seen_.size());
    request.seen_count = static_cast<std::int32_t>(sample.seen_ids.size());
    host_seen_.insert(host_seen_.end(), sample.seen_ids.begin(), sample.seen_ids.end());
  }
  queue_.upload(host_requests_.data(), host_requests_.size() * sizeof(k::SampleRequest), requests_);
  std::int32_t* const seen = seen_.reserve(queue_.arena(), std::max<std::size_t>(host_seen_.size(), 1), "sampling");
  queue_.upload(host_seen_.data(), host_seen_.size() * sizeof(std::int32_t), seen);
}

void Sampler::choose(const float* logits, std::int32_t first_id, std::int32_t count, std::span<const SampleRow> samples,
                     std::span<SampleResult> results) {
  const std::size_t rows = samples.size();
  if (rows == 0) return;
  upload_requests(samples);
  k::SampleArrays arrays;
  arrays.requests = requests_;
  arrays.seen_ids = seen_.data();
  arrays.logits = logits;
  arrays.stride = count;
  arrays.first_id = first_id;
  arrays.count = count;
  arrays.rows = static_cast<std::int32_t>(rows);
  arrays.ranks = ranks_;
  arrays.cuts = cuts_;
  const k::Stream stream = queue_.kernels();

  ASSIZE_LAUNCH(k::sample_statistics(arrays, statistics_.own(rank_, rows), stream));
  gather(statistics_, rows);
  const auto rounds = [&](int first) {
    for (int round = first; round < first + k::kHistogramRounds; ++round) {
      ASSIZE_LAUNCH(k::sample_histogram(arrays, round, statistics_.all, histograms_.own(rank_, rows), stream));
      gather(histograms_, rows);
      ASSIZE_LAUNCH(k::sample_cut(arrays, round, statistics_.all, histograms_.all, stream));
    }
  };
  const auto any = [&](auto&& wanted) { return std::any_of(samples.begin(), samples.end(), wanted); };
  if (any([](const SampleRow& row) { return row.top_k > 0; })) rounds(0);
  if (any([](const SampleRow& row) { return row.top_p < 1.0f; })) rounds(k::kHistogramRounds);
  ASSIZE_LAUNCH(k::sample_choose(arrays, statistics_.all, choices_.own(rank_, rows), stream));
  gather(choices_, rows);
  ASSIZE_LAUNCH(k::sample_finish(arrays, statistics_.all, choices_.all, outcomes_, stream));

  host_outcomes_.resize(rows);
  queue_.download(outcomes_, rows * sizeof(k::SampleOutcome), host_outcomes_.data());
  for (std::size_t r = 0; r < rows; ++r) {
    const k::SampleOutcome& outcome = host_outcomes_[r];
    SampleResult& result = results[r];
    result.ok = outcome.ok != 0;
    result.id = result.ok ? outcome.id : -1;
    result.logprob = result.ok ? outcome.logprob : 0;
    result.watch_logprobs.assign(outcome.watch_logprobs, outcome.watch_logprobs + samples[r].watch_ids.size());
    result.top_logprobs.clear();
    for (std::int32_t i = 0; result.ok && i < outcome.top_count; ++i) {
      result.top_logprobs.push_back({outcome.top_ids[i], outcome.top_logprobs[i]});
    }
  }
}

}  // namespace assize::backend::cuda
