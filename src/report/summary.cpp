#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/hash.h"
#include "report/report.h"

namespace assize::report {
namespace {

using verdict::OrderAgreement;
using verdict::Protocol;
using verdict::VerdictStatus;

CallCounts count_calls(std::span<const metrics::JudgedSample> samples) {
  CallCounts counts;
  for (const auto& sample : samples) {
    for (const auto& vote : sample.votes.unpacked()) {
      ++counts.calls;
      counts.ok += vote.verdict.status == VerdictStatus::ok;
      counts.unreadable += vote.verdict.status == VerdictStatus::unreadable;
      counts.truncated += vote.verdict.status == VerdictStatus::truncated;
      counts.failed += vote.verdict.status == VerdictStatus::failed;
    }
  }
  counts.wanted = counts.calls;
  return counts;
}

OrderCounts count_orders(std::span<const metrics::JudgedSample> samples) {
  OrderCounts counts;
  for (const auto& sample : samples) {
    const auto orders = sample.combined.orders;
    counts.consistent += orders == OrderAgreement::consistent;
    counts.prefers_first += orders == OrderAgreement::prefers_first;
    counts.prefers_second += orders == OrderAgreement::prefers_second;
    counts.inconsistent += orders == OrderAgreement::inconsistent;
    counts.not_tried += orders == OrderAgreement::not_tried;
  }
  return counts;
}

constexpr int kBins = 10;

int bin_of(double score, const metrics::AgreementRule& rule) {
  const double place = (score - rule.score_low) / (rule.score_high - rule.score_low);
  return static_cast<int>(std::clamp(place * kBins, 0.0, kBins - 1.0));
}

std::vector<DistributionBar> distribution(std::span<const metrics::JudgedSample> samples,
                                          const metrics::AgreementRule& rule) {
  std::vector<DistributionBar> bars;
  if (rule.protocol == Protocol::score) {
    const double width = (rule.score_high - rule.score_low) / kBins;
    for (int b = 0; b < kBins; ++b) {
      bars.push_back(
          {fmt::format("{:.3g} to {:.3g}", rule.score_low + b * width, rule.score_low + (b + 1) * width)});
    }
    for (const auto& sample : samples) {
      if (sample.combined.ok()) ++bars[static_cast<std::size_t>(bin_of(sample.combined.value, rule))].judge;
      if (sample.human_score) ++bars[static_cast<std::size_t>(bin_of(*sample.human_score, rule))].human;
    }
    return bars;
  }
  // Of rankings, who is first.
  const auto shown = [&](const std::string& choice) { return rule.protocol == Protocol::rank ? choice.substr(0, 1) : choice; };
  std::map<std::string, DistributionBar> counts;
  for (const char* label : {"A", "B", "tie"}) {
    if (rule.protocol == Protocol::pair) counts[label];
  }
  for (const char* label : {"A>B", "B>A", "A=B=Good", "A=B=Bad"}) {
    if (rule.protocol == Protocol::label) counts[label];
  }
  std::int64_t none = 0;
  for (const auto& sample : samples) {
    if (sample.combined.ok()) {
      ++counts[shown(sample.combined.choice)].judge;
    } else {
      ++none;
    }
    if (!sample.human.empty()) ++counts[shown(sample.human)].human;
  }
  for (auto& [label, bar] : counts) {
    bar.label = label;
    bars.push_back(bar);
  }
  if (none) bars.push_back({"no verdict", none, 0});
  return bars;
}

std::vector<CalibrationPoint> calibration(std::span<const metrics::JudgedSample> samples,
                                          const metrics::AgreementRule& rule) {
  if (rule.protocol != Protocol::score) return {};
  struct Bin {
    std::vector<double> human;
    double judge = 0;
  };
  std::vector<Bin> bins(kBins);
  for (const auto& sample : samples) {
    if (!sample.combined.ok() || !sample.human_score) continue;
    Bin& bin = bins[static_cast<std::size_t>(bin_of(sample.combined.value, rule))];
    bin.human.push_back(*sample.human_score);
    bin.judge += sample.combined.value;
  }
  std::vector<CalibrationPoint> points;
  for (const Bin& bin : bins) {
    if (bin.human.empty()) continue;
    const auto mean = [&bin](metrics::Counts counts) -> metrics::Figure {
      double sum = 0, total = 0;
      for (std::size_t i = 0; i < bin.human.size(); ++i) {
        const double w = counts.empty() ? 1.0 : static_cast<double>(counts[i]);
        sum += w * bin.human[i];
        total += w;
      }
      if (total == 0) return metrics::no_figure("no items");
      return {sum / total, nullptr};
    };
    points.push_back({bin.judge / static_cast<double>(bin.human.size()),
                      metrics::bootstrap(mean, bin.human.size(), rule.bootstrap)});
  }
  return points;
}

}  // namespace

SuiteReport summarise(std::span<const metrics::JudgedSample> samples, const metrics::AgreementRule& rule) {
  SuiteReport suite;
  suite.id = rule.suite;
  suite.protocol = rule.protocol;
  suite.score_low = rule.score_low;
  suite.score_high = rule.score_high;
  suite.samples = static_cast<std::int64_t>(samples.size());
  suite.labelled = std::count_if(samples.begin(), samples.end(), [&](const auto& sample) {
    return rule.protocol == Protocol::score ? sample.human_score.has_value() : !sample.human.empty();
  });
  suite.calls = count_calls(samples);
  suite.metrics = metrics::agreement(samples, rule);
  suite.curve = metrics::vote_curve(samples, rule);
  const bool drawable = std::any_of(suite.curve.begin(), suite.curve.end(),
                                    [](const auto& point) { return point.estimate.defined(); });
  if (suite.curve.size() < 2 || !drawable) suite.curve.clear();
  suite.confusion = metrics::confusion_table(samples, rule.protocol);
  suite.distribution = distribution(samples, rule);
  suite.calibration = calibration(samples, rule);
  suite.orders = count_orders(samples);
  return suite;
}

std::vector<TellingItem> telling_items(std::span<const metrics::JudgedSample> samples, Protocol protocol,
                                       std::span<const std::int64_t> text_sizes) {
  std::vector<unsigned> reasons(samples.size());
  std::vector<std::vector<std::size_t>> turns;
  const auto take = [&](Reason reason, std::size_t most, const auto& weight) {  // weight 0: does not apply
    std::vector<std::pair<double, std::size_t>> found;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (const double w = weight(i); w > 0) found.emplace_back(-w, i);
    }
    std::sort(found.begin(), found.end());
    found.resize(std::min(found.size(), most));
    turns.emplace_back();
    for (const auto& [w, i] : found) {
      reasons[i] |= reason;
      turns.back().push_back(i);
    }
  };
  take(kDisagrees, samples.size(), [&](std::size_t i) {
    const auto& sample = samples[i];
    if (!sample.combined.ok()) return 0.0;
    if (protocol == Protocol::score)
      return sample.human_score ? std::abs(sample.combined.value - *sample.human_score) : 0.0;
    return !sample.human.empty() && sample.human != sample.combined.choice ? 1 + sample.combined.agreement
                                                                           : 0.0;
  });
  take(kUnreadable, samples.size(),
       [&](std::size_t i) { return static_cast<double>(samples[i].combined.unreadable); });
  take(kLongest, samples.size() / 20 + 1,
       [&](std::size_t i) { return i < text_sizes.size() ? static_cast<double>(text_sizes[i]) : 0.0; });
  take(kOrderFlips, samples.size(), [&](std::size_t i) {
    const auto orders = samples[i].combined.orders;
    return orders == OrderAgreement::prefers_first || orders == OrderAgreement::prefers_second ? 1.0 : 0.0;
  });
  const std::vector<unsigned> known = reasons;
  take(kSampled, samples.size(), [&](std::size_t i) {
    return known[i] ? 0.0 : 1 + static_cast<double>(base::hash64(samples[i].id) >> 11);
  });

  std::vector<TellingItem> items;
  std::vector<char> taken(samples.size());
  std::vector<std::size_t> next(turns.size());
  for (bool more = true; more;) {
    more = false;
    for (std::size_t t = 0; t < turns.size(); ++t) {
      while (next[t] < turns[t].size() && taken[turns[t][next[t]]]) ++next[t];
      if (next[t] == turns[t].size()) continue;
      const std::size_t i = turns[t][next[t]];
      taken[i] = 1;
      items.push_back({i, reasons[i]});
      more = true;
    }
  }
  return items;
}

}  // namespace assize::report
