#include "backend/cpu_sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "backend/split.h"
#include "base/noise.h"
#include "kernels/cpu/sampling.h"

namespace assize::backend {

namespace {

bool penalises(const SampleRow& row) { return row.repetition_penalty != 1.0f && !row.seen_ids.empty(); }

float below(float value) { return std::nextafter(value, -std::numeric_limits<float>::infinity()); }

float four(float a, float b, float c, float d) { return (a + b) + (c + d); }

bool more_likely(const TokenLogprob& a, const TokenLogprob& b) {
  return a.logprob != b.logprob ? a.logprob > b.logprob : a.id < b.id;
}

}  // namespace

CpuSampler::Range CpuSampler::quarter(int local) const {
  const int q = 4 * group_.rank() / group_.size() + local;
  return {quarter_bound(vocab_, q), quarter_bound(vocab_, q + 1)};
}

const float* CpuSampler::logits_of(std::size_t row, int local) const {
  return logits_ + row * static_cast<std::size_t>(local_) + (quarter(local).begin - quarter(0).begin);
}

float* CpuSampler::shaped_of(std::size_t row, int local) const {
  return shaped_.floats() + row * static_cast<std::size_t>(local_) +
         (quarter(local).begin - quarter(0).begin);
}

float* CpuSampler::weights_of(std::size_t row, int local) const {
  return weights_.floats() +
         (row * static_cast<std::size_t>(4 / group_.size()) + static_cast<std::size_t>(local)) *
             quarter_stride_;
}

CpuSampler::GroupList& CpuSampler::list_of(std::size_t row, int local) {
  return lists_[row * static_cast<std::size_t>(4 / group_.size()) + static_cast<std::size_t>(local)];
}

/// All groups of the quarter, and zero weights behind its last token.
void CpuSampler::start_list(std::size_t row, int local) {
  const std::size_t most = quarter_stride_ / 16;
  const auto [begin, end] = quarter(local);
  const auto count = static_cast<std::size_t>(end - begin);
  GroupList& list = list_of(row, local);
  auto* memory = reinterpret_cast<std::uint32_t*>(groups_.data());
  list.groups = memory + static_cast<std::size_t>(&list - lists_.data()) * 2 * most;
  list.spare = list.groups + most;
  list.count = (count + 15) / 16;
  for (std::size_t g = 0; g < list.count; ++g) list.groups[g] = static_cast<std::uint32_t>(g);
  std::fill(weights_of(row, local) + count, weights_of(row, local) + list.count * 16, 0.0f);
}

/// all[row * 4 + quarter] = body(row, local quarter), from every rank.
template <class T, class Body>
void CpuSampler::for_quarters(std::vector<T>& all, const Body& body) {
  const int here = 4 / group_.size();
  const std::size_t rows = samples_.size();
  all.resize(rows * 4);
  T* own = all.data();
  if (group_.size() > 1) {
    own_.resize(rows * static_cast<std::size_t>(here) * sizeof(T));
    gathered_.resize(rows * 4 * sizeof(T));
    own = reinterpret_cast<T*>(own_.data());
  }
  pool_.run(static_cast<int>(rows) * here,
            [&](int task, int) { own[task] = body(static_cast<std::size_t>(task / here), task % here); });
  if (group_.size() == 1) return;
  group_.all_gather(own_, gathered_);
  for (int rank = 0; rank < group_.size(); ++rank)
    for (std::size_t row = 0; row < rows; ++row)
      std::memcpy(&all[row * 4 + static_cast<std::size_t>(rank * here)],
                  gathered_.data() + (static_cast<std::size_t>(rank) * rows + row) *
                                         static_cast<std::size_t>(here) * sizeof(T),
                  static_cast<std::size_t>(here) * sizeof(T));
}

void CpuSampler::find_maxima() {
  for_quarters(maxima_, [&](std::size_t row, int local) {
    const auto [begin, end] = quarter(local);
    const auto count = static_cast<std::size_t>(end - begin);
    const float* raw = logits_of(row, local);
    Maxima maxima{kernels::finite_maximum(set_, raw, count), 0};
    maxima.shaped = maxima.raw;
    const SampleRow& sample = samples_[row];
    if (penalises(sample)) {
      float* shaped = shaped_of(row, local);
      std::memcpy(shaped, raw, count * sizeof(float));
      for (const std::int32_t id : sample.seen_ids)
        if (id >= begin && id < end) {
          float& logit = shaped[id - begin];
          logit = logit < 0 ? logit * sample.repetition_penalty : logit / sample.repetition_penalty;
        }
      maxima.shaped = kernels::finite_maximum(set_, shaped, count);
    }
    return maxima;
  });
  for (std::size_t r = 0; r < samples_.size(); ++r) {
    Row& row = rows_[r] = Row{};
    row.ok = true;
    row.raw_maximum = row.shaped_maximum = -std::numeric_limits<float>::infinity();
    for (int q = 0; q < 4; ++q) {
      const Maxima& maxima = maxima_[r * 4 + static_cast<std::size_t>(q)];
      row.ok = row.ok && std::isfinite(maxima.raw) && std::isfinite(maxima.shaped);
      row.raw_maximum = std::max(row.raw_maximum, maxima.raw);
      row.shaped_maximum = std::max(row.shaped_maximum, maxima.shaped);
    }
  }
}

void CpuSampler::make_reports() {
  for_quarters(reports_, [&](std::size_t r, int local) {
    Report report{};
    const Row& row = rows_[r];
    if (!row.ok) return report;
    const SampleRow& sample = samples_[r];
    const auto [begin, end] = quarter(local);
    const auto count = static_cast<std::size_t>(end - begin);
    const float* raw = logits_of(r, local);
    report.raw_sum = kernels::exp_sum(set_, raw, count, row.raw_maximum, 1.0f, nullptr);
    if (sample.temperature > 0 && sample.forced_id < 0) {
      start_list(r, local);
      kernels::exp_sum(set_, penalises(sample) ? shaped_of(r, local) : raw, count, row.shaped_maximum,
                       1.0f / sample.temperature, weights_of(r, local));
    }
    for (std::size_t w = 0; w < sample.watch_ids.size(); ++w) {
      const std::int32_t id = sample.watch_ids[w];
      if (id >= begin && id < end) report.watched[w] = raw[id - begin];
    }
    // The likeliest so far in order; only a larger logit than the last of a full list can enter it.
    const auto wanted = std::min(sample.top_logprobs, kMaxTopLogprobs);
    auto* const first = report.top.data();
    for (std::size_t i = 0; wanted > 0; ++i) {
      const float limit =
          report.top_count < wanted ? -std::numeric_limits<float>::infinity() : first[wanted - 1].logprob;
      i = kernels::find_above(set_, raw, i, count, limit);
      if (i == count) break;
      report.top_count = std::min(report.top_count + 1, wanted);
      const TokenLogprob entry{static_cast<std::int32_t>(begin + static_cast<std::int64_t>(i)), raw[i]};
      auto* at = first + report.top_count - 1;
      for (; at > first && more_likely(entry, at[-1]); --at) *at = at[-1];
      *at = entry;
    }
    return report;
  });
  for (std::size_t r = 0; r < samples_.size(); ++r) {
    const Report* report = &reports_[r * 4];
    rows_[r].raw_sum = four(report[0].raw_sum, report[1].raw_sum, report[2].raw_sum, report[3].raw_sum);
  }
}

/// Weights above the one with these bits, in one quarter; its list's spare gets the groups that hold them.
CpuSampler::Mass CpuSampler::mass_above(std::size_t row, int local, std::uint32_t bits) {
  GroupList& list = list_of(row, local);
  Mass mass{};
  mass.sum = kernels::sum_above(set_, weights_of(row, local), {list.groups, list.count},
                                std::bit_cast<float>(bits), &mass.count, list.spare, &list.spare_count);
  return mass;
}

/// For each active row the smallest weight w in (low, high] with enough(row, sum and count of the weights >
/// w); high always counts as enough.
template <class Enough>
void CpuSampler::bisect(const Enough& enough) {
  const auto open = [](const Row& row) { return row.active && row.high - row.low > 1; };
  while (std::any_of(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(samples_.size()), open)) {
    for_quarters(masses_, [&](std::size_t r, int local) {
      const Row& row = rows_[r];
      return open(row) ? mass_above(r, local, row.low + (row.high - row.low) / 2) : Mass{};
    });
    for (std::size_t r = 0; r < samples_.size(); ++r) {
      Row& row = rows_[r];
      if (!open(row)) continue;
      const Mass* mass = &masses_[r * 4];
      const Mass all{four(mass[0].sum, mass[1].sum, mass[2].sum, mass[3].sum),
                     mass[0].count + mass[1].count + mass[2].count + mass[3].count};
      const std::uint32_t middle = row.low + (row.high - row.low) / 2;
      if (enough(r, all)) {
        row.high = middle;
        continue;
      }
      row.low = middle;
      for (int local = 0; local < 4 / group_.size(); ++local) {
        GroupList& list = list_of(r, local);
        std::swap(list.groups, list.spare);
        list.count = list.spare_count;
      }
    }
  }
}

// Weights are e^x, x <= 0: in [0, 1], and 1 is reached. Their bits order like their values.
constexpr std::uint32_t kOneBits = std::bit_cast<std::uint32_t>(1.0f);

void CpuSampler::keep_top_k() {
  bool any = false;
  for (std::size_t r = 0; r < samples_.size(); ++r) {
    Row& row = rows_[r];
    const SampleRow& sample = samples_[r];
    row.active =
        row.ok && sample.forced_id < 0 && sample.temperature > 0 && sample.top_k > 0 && sample.top_k < vocab_;
    row.low = 0;
    row.high = kOneBits;
    any = any || row.active;
  }
  if (!any) return;
  bisect([&](std::size_t r, const Mass& above) { return above.count < samples_[r].top_k; });
  for (std::size_t r = 0; r < samples_.size(); ++r)
    if (rows_[r].active) rows_[r].keep_from = std::bit_cast<float>(rows_[r].high);
}

void CpuSampler::keep_top_p() {
  bool any = false;
  for (std::size_t r = 0; r < samples_.size(); ++r) {
    Row& row = rows_[r];
    const SampleRow& sample = samples_[r];
    row.active = row.ok && sample.forced_id < 0 && sample.temperature > 0 && sample.top_p < 1.0f;
    row.high = kOneBits;
    row.low = std::bit_cast<std::uint32_t>(row.keep_from);
    row.low -= row.low > 0;  // keep_from itself may be the answer
    any = any || row.active;
  }
  if (!any) return;
  for_quarters(masses_, [&](std::size_t r, int local) {
    return rows_[r].active ? mass_above(r, local, rows_[r].low) : Mass{};
  });
  for (std::size_t r = 0; r < samples_.size(); ++r) {
    Row& row = rows_[r];
    const Mass* mass = &masses_[r * 4];
    row.target = samples_[r].top_p * four(mass[0].sum, mass[1].sum, mass[2].sum, mass[3].sum);
  }
  bisect([&](std::size_t r, const Mass& above) { return above.sum < rows_[r].target; });
  for (std::size_t r = 0; r < samples_.size(); ++r)
    if (rows_[r].active) rows_[r].keep_from = std::bit_cast<float>(rows_[r].high);
}

CpuSampler::Choice CpuSampler::choose_in_quarter(std::size_t r, int local) const {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  Choice best{kNone, -1, 0};
  const Row& row = rows_[r];
  if (!row.ok) return best;
  const SampleRow& sample = samples_[r];
  const auto [begin, end] = quarter(local);
  const auto count = static_cast<std::size_t>(end - begin);
  const float* raw = logits_of(r, local);
  if (sample.forced_id >= 0) {
    if (sample.forced_id >= begin && sample.forced_id < end)
      best = {0, sample.forced_id, raw[sample.forced_id - begin]};
    return best;
  }
  const float* shaped = penalises(sample) ? shaped_of(r, local) : raw;
  const auto token = [&](std::size_t i) {
    return static_cast<std::int32_t>(begin + static_cast<std::int64_t>(i));
  };
  if (!(sample.temperature > 0)) {
    const std::size_t i = kernels::find_above(set_, shaped, 0, count, below(row.shaped_maximum));
    return i == count ? best : Choice{shaped[i], token(i), raw[i]};
  }

  // Gumbel-max. A token of weight w can only beat `best` if -log u < w * ratio, ratio = e^(maximum / T -
  // best), hence only if 1 - u < w * ratio, and never if w * ratio < 2^-33 <= 1 - u: few tokens cost a
  // logarithm.
  const float* weights = weights_of(r, local);
  const double temperature = sample.temperature;
  const double top = row.shaped_maximum / temperature;
  constexpr double kSlack = 1.001;  // weights are fp32 approximations
  float scale = std::numeric_limits<float>::infinity();
  const float kept = below(row.keep_from);
  float skip = kept;
  const kernels::NoiseCounter noise{sample.noise_stream, sample.position, static_cast<std::uint32_t>(begin)};
  for (std::size_t i = 0;; ++i) {
    i = kernels::find_lucky(set_, weights, i, count, skip, scale, noise);
    if (i == count) return best;
    const double u =
        base::noise_uniform(sample.noise_stream, sample.position, static_cast<std::uint32_t>(token(i)));
    const double value = shaped[i] / temperature - std::log(-std::log(u));
    if (!(value > best.value)) continue;
    best = {value, token(i), raw[i]};
    scale = static_cast<float>(kSlack * std::exp(top - value));
    skip = std::max(kept, 0x1p-33f / scale);
  }
}

void CpuSampler::write_results(std::span<SampleResult> results) {
  for (std::size_t r = 0; r < samples_.size(); ++r) {
    const SampleRow& sample = samples_[r];
    const Row& row = rows_[r];
    SampleResult& result = results[r];
    const double log_sum = std::log(static_cast<double>(row.raw_sum));
    const auto logprob = [&](float logit) {
      return static_cast<float>((static_cast<double>(logit) - row.raw_maximum) - log_sum);
    };
    result.ok = row.ok;
    result.id = -1;
    result.logprob = 0;
    result.watch_logprobs.assign(sample.watch_ids.size(), 0.0f);
    result.top_logprobs.clear();
    if (!row.ok) continue;
    const Choice* best = &choices_[r * 4];
    for (int q = 1; q < 4; ++q) {
      const Choice* choice = &choices_[r * 4 + static_cast<std::size_t>(q)];
      if (choice->id >= 0 && (best->id < 0 || choice->value > best->value)) best = choice;
    }
    result.id = best->id;
    result.logprob = logprob(best->raw);
    for (std::size_t w = 0; w < sample.watch_ids.size(); ++w)
      for (int q = 0; q < 4; ++q)
        if (sample.watch_ids[w] >= quarter_bound(vocab_, q) &&
            sample.watch_ids[w] < quarter_bound(vocab_, q + 1))
          result.watch_logprobs[w] = logprob(reports_[r * 4 + static_cast<std::size_t>(q)].watched[w]);
    std::int32_t taken[4] = {};
    for (std::int32_t n = 0; n < std::min(sample.top_logprobs, kMaxTopLogprobs); ++n) {
      int from = -1;
      for (int q = 0; q < 4; ++q) {
        const Report& report = reports_[r * 4 + static_cast<std::size_t>(q)];
        if (taken[q] == report.top_count) continue;
        const auto& next = report.top[static_cast<std::size_t>(taken[q])];
        if (from < 0 ||
            more_likely(
                next,
                reports_[r * 4 + static_cast<std::size_t>(from)].top[static_cast<std::size_t>(taken[from])]))
          from = q;
      }
      if (from < 0) break;
      const auto& next =
          reports_[r * 4 + static_cast<std::size_t>(from)].top[static_cast<std::size_t>(taken[from]++)];
      result.top_logprobs.push_back({next.id, logprob(next.logprob)});
    }
  }
}

void CpuSampler::choose(const float* logits, std::int64_t vocab, std::span<const SampleRow> samples,
                        std::span<SampleResult> results) {
  logits_ = logits;
  vocab_ = vocab;
  local_ = shard_range(vocab, group_.rank(), group_.size()).size();
  samples_ = samples;
  rows_.resize(samples.size());
  quarter_stride_ = (static_cast<std::size_t>(vocab + 3) / 4 + 15) / 16 * 16;
  const std::size_t quarters = samples.size() * static_cast<std::size_t>(4 / group_.size());
  lists_.resize(quarters);
  weights_.reserve(quarters * quarter_stride_ * sizeof(float));
  groups_.reserve(quarters * quarter_stride_ / 16 * 2 * sizeof(std::uint32_t));
  if (std::any_of(samples.begin(), samples.end(), penalises))
    shaped_.reserve(samples.size() * static_cast<std::size_t>(local_) * sizeof(float));
  find_maxima();
  make_reports();
  keep_top_k();
  keep_top_p();
  for_quarters(choices_, [&](std::size_t row, int local) { return choose_in_quarter(row, local); });
  write_results(results);
}

}  // namespace assize::backend
