#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "metrics/statistics.h"
#include "metrics/table_builder.h"

namespace assize::metrics {
namespace {

using verdict::OrderAgreement;
using verdict::Protocol;
using verdict::VerdictStatus;

// Pairs of votes of one presentation that agree, over all such pairs.
std::optional<double> vote_agreement(const JudgedSample& sample) {
  const auto votes = sample.votes.unpacked();
  double same = 0, pairs = 0;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    for (std::size_t j = i + 1; j < votes.size(); ++j) {
      const auto &a = votes[i], &b = votes[j];
      if (!a.verdict.ok() || !b.verdict.ok() || a.presentation != b.presentation) continue;
      ++pairs;
      same += a.verdict.choice == b.verdict.choice;
    }
  }
  return pairs > 0 ? std::optional(same / pairs) : std::nullopt;
}

std::optional<double> vote_variance(const JudgedSample& sample) {
  double n = 0, sum = 0, squares = 0;
  for (const auto& vote : sample.votes.unpacked()) {
    if (!vote.verdict.ok()) continue;
    ++n;
    sum += vote.verdict.value;
    squares += vote.verdict.value * vote.verdict.value;
  }
  return n > 1 ? std::optional(std::max(0.0, (squares - sum * sum / n) / (n - 1))) : std::nullopt;
}

}  // namespace

void add_reliability(TableBuilder& table, const Samples& items, Protocol protocol) {
  table.add_mean("", "samples without a verdict", "no readable vote", items,
                 [](const JudgedSample& s) { return s.combined.ok() ? 0.0 : 1.0; });
  table.lower_is_better();
  for (const auto status : {VerdictStatus::unreadable, VerdictStatus::truncated, VerdictStatus::failed}) {
    std::vector<double> with, all;
    for (const auto* item : items) {
      const auto votes = item->votes.unpacked();
      all.push_back(static_cast<double>(votes.size()));
      with.push_back(static_cast<double>(
          std::count_if(votes.begin(), votes.end(), [&](const auto& vote) { return vote.verdict.status == status; })));
    }
    table.add("", fmt::format("calls {}", name(status)), "share of all calls", items,
              ratio_statistic(with, all));
    table.lower_is_better();
  }
  if (protocol == Protocol::score) {
    Samples kept;
    std::vector<double> variances;
    for (const auto* item : items) {
      if (const auto variance = vote_variance(*item)) {
        kept.push_back(item);
        variances.push_back(*variance);
      }
    }
    if (kept.empty()) return;
    table.add("", "spread of the votes", "root of the mean variance within a sample", kept,
              [mean = mean_statistic(variances)](Counts counts) {
                Figure figure = mean(counts);
                figure.value = std::sqrt(figure.value);
                return figure;
              });
    return;
  }
  const auto tried = [](const JudgedSample& s) { return s.combined.orders != OrderAgreement::not_tried; };
  const auto any = [&](auto condition) {
    return std::any_of(items.begin(), items.end(), [&](const auto* i) { return condition(*i); });
  };
  if (any([](const JudgedSample& s) { return vote_agreement(s).has_value(); })) {
    table.add_mean("", "self-consistency", "pairs of votes of one order that agree, mean over samples", items,
                   vote_agreement);
  }
  if (!any(tried)) return;
  const auto when_tried = [&](auto value) {
    return [=](const JudgedSample& s) {
      return tried(s) ? std::optional<double>(value(s.combined.orders)) : std::nullopt;
    };
  };
  table.add_mean("", "order consistency", "same verdict in both orders", items,
                 when_tried([](OrderAgreement o) { return o == OrderAgreement::consistent ? 1 : 0; }));
  table.add_mean(
      "", "position bias", "first shown wins in both orders minus second shown wins in both orders", items,
      when_tried([](OrderAgreement o) {
        return o == OrderAgreement::prefers_first ? 1 : o == OrderAgreement::prefers_second ? -1 : 0;
      }));
}

}  // namespace assize::metrics
