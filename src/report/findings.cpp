#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/report.h"
#include "report/text.h"

namespace assize::report {
namespace {

constexpr std::int64_t kFew = 10;  // samples below which nothing is said

const metrics::Metric* overall(const SuiteReport& suite, const std::string& name) {
  const auto found = std::find_if(suite.metrics.begin(), suite.metrics.end(), [&](const auto& metric) {
    return metric.group.empty() && metric.name == name;
  });
  return found == suite.metrics.end() ? nullptr : &*found;
}

std::string against_chance(const SuiteReport& suite) {
  const auto* headline = overall(suite, metrics::headline_name(suite.protocol));
  const auto* chance = overall(suite, metrics::chance_name(suite.protocol));
  if (!headline || !chance) return "No sample has a human label: agreement is not known.";
  const std::string figure = fmt::format("{} {}", headline->name, estimate_text(headline->estimate));
  const std::string name = chance->name;
  const auto& c = chance->estimate;
  if (chance->estimate.n == 0) return "No labelled sample has a verdict: agreement is not known.";
  if (!c.defined())
    return fmt::format("Agreement cannot be told from chance: {} is {}; {}.", name, estimate_text(c), figure);
  const std::string against = fmt::format("{} {}", name, estimate_text(c));
  if (!c.has_interval() && c.n >= kFew && c.value != 0) {
    return fmt::format("Agrees with people {} chance: {}, {} ({}).", c.value > 0 ? "above" : "below", figure,
                       against, c.no_interval);
  }
  if (!c.has_interval() && c.n >= kFew)
    return fmt::format("At chance: {} ({}); {}.", against, c.no_interval, figure);
  if (!c.has_interval())
    return fmt::format("Too few samples to tell agreement from chance ({}): {}, {}.", c.no_interval, figure,
                       against);
  if (c.low > 0) return fmt::format("Agrees with people above chance: {}, {}.", figure, against);
  if (c.high < 0) return fmt::format("Agrees with people below chance: {}, {}.", figure, against);
  return fmt::format("At chance: the interval of {} includes 0; {}.", against, figure);
}

// How far people agree with each other: what a judge can reach.
std::string ceiling(const SuiteReport& suite) {
  const char* name = suite.protocol == verdict::Protocol::score  ? "Pearson against the others"
                     : suite.protocol == verdict::Protocol::rank ? "normalised Levenshtein"
                                                                 : "accuracy against the others";
  const auto* metric = overall(suite, fmt::format("annotators: {}", name));
  if (!metric || !metric->estimate.defined()) return {};
  return fmt::format("People among themselves: {} {}.", name, estimate_text(metric->estimate));
}

std::string reading(const CallCounts& calls) {
  const std::int64_t unread = calls.calls - calls.ok;
  if (calls.calls == 0) return "No call was judged yet.";
  if (unread == 0) return {};
  std::string parts;
  const auto add = [&](std::int64_t count, const char* what) {
    if (count > 0)
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", percent_text(count, calls.calls), what);
  };
  add(calls.unreadable, "are unreadable");
  add(calls.truncated, "were cut off at the token limit");
  add(calls.failed, "failed");
  const bool most = unread * 2 >= calls.calls;
  const bool many = unread * 20 >= calls.calls;
  return fmt::format("{}: of {} calls {}.",
                     most   ? "Most answers could not be read"
                     : many ? "Many answers could not be read"
                            : "Some answers could not be read",
                     count_text(calls.calls), parts);
}

std::string position(const OrderCounts& orders) {
  const std::int64_t tried = orders.tried(), bias = orders.prefers_first - orders.prefers_second;
  if (tried < kFew || std::abs(bias) * 10 < tried) return {};
  return fmt::format("Prefers the answer shown {}: it wins in both orders in {} of {} samples.",
                     bias > 0 ? "first" : "second",
                     percent_text(std::max(orders.prefers_first, orders.prefers_second), tried),
                     count_text(tried));
}

}  // namespace

std::vector<std::string> findings(const SuiteReport& suite) {
  std::vector<std::string> out;
  if (suite.calls.calls > 0) out.push_back(against_chance(suite));
  for (auto sentence : {ceiling(suite), reading(suite.calls), position(suite.orders)}) {
    if (!sentence.empty()) out.push_back(std::move(sentence));
  }
  const auto* ties = overall(suite, "predicted tie rate");
  if (ties && ties->estimate.defined() && ties->estimate.value > 0.5 && ties->estimate.n >= kFew) {
    out.push_back(fmt::format("Calls most pairs a tie: {:.1f} % of {}.", 100 * ties->estimate.value,
                              count_text(ties->estimate.n)));
  }
  return out;
}

}  // namespace assize::report
