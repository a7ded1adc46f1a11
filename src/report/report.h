#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "metrics/metric_table.h"

namespace assize::report {

/// How the calls of a suite ended. `ok + unreadable + truncated + failed = calls`.
struct CallCounts {
  std::int64_t calls = 0;   ///< judged so far
  std::int64_t wanted = 0;  ///< of the whole job
  std::int64_t ok = 0;
  std::int64_t unreadable = 0;
  std::int64_t truncated = 0;
  std::int64_t failed = 0;
};

/// How often each verdict was given, beside how often people gave it. Scores: one bar per bin of the scale.
struct DistributionBar {
  std::string label;
  std::int64_t judge = 0;
  std::int64_t human = 0;
};

/// Scores: the mean human score of the samples to which the judge gave about the same score.
struct CalibrationPoint {
  double judge = 0;  ///< mean of the judge's scores in the bin
  metrics::Estimate human;
};

/// Samples by what the two orders of a pair say.
struct OrderCounts {
  std::int64_t consistent = 0;
  std::int64_t prefers_first = 0;
  std::int64_t prefers_second = 0;
  std::int64_t inconsistent = 0;
  std::int64_t not_tried = 0;

  std::int64_t tried() const { return consistent + prefers_first + prefers_second + inconsistent; }
};

/// One suite, ready to be shown.
struct SuiteReport {
  std::string id;
  verdict::Protocol protocol = verdict::Protocol::pair;
  std::string prompt;   ///< name of the prompt set
  std::string profile;  ///< strict, paper, repo
  std::string rules;    ///< one line: votes, orders, policy for unreadable answers
  double score_low = 1, score_high = 10;
  std::int64_t samples = 0;
  std::int64_t labelled = 0;
  CallCounts calls;
  std::vector<metrics::Metric> metrics;
  std::vector<metrics::CurvePoint> curve;  ///< empty with one vote
  metrics::ConfusionTable confusion;
  std::vector<DistributionBar> distribution;
  std::vector<CalibrationPoint> calibration;
  OrderCounts orders;
};

/// What the run took.
struct Cost {
  double wall_seconds = 0;
  double judge_seconds = 0;  ///< from lease to finish, summed over calls, which overlap
  std::int64_t redone = 0;   ///< judgements that were taken back and made again (run --retry, a higher token limit)
  std::int64_t prompt_tokens = 0;
  std::int64_t prefilled_tokens = 0;  ///< computed; the rest was shared
  std::int64_t output_tokens = 0;
  int groups = 0;
  std::string machine;  ///< one line: processors or GPUs, ranks, tensor parallel degree
};

/// One call of an item, as it is shown.
struct ItemCall {
  std::string criterion;                    ///< empty where there is one only
  std::vector<std::uint16_t> presentation;  ///< candidates in the order shown
  std::uint32_t vote = 0;
  verdict::Verdict verdict;
  std::string text;  ///< the generation
  std::int64_t output_tokens = 0;
};

/// Why an item is shown. An item can be shown for several reasons: a set of these bits.
enum Reason : unsigned { kDisagrees = 1, kUnreadable = 2, kLongest = 4, kOrderFlips = 8, kSampled = 16 };

/// A candidate of an item.
struct ItemCandidate {
  std::string text;
  std::vector<std::string> images;  ///< as Item::images
};

/// A sample with its texts. All strings come from data sets and models: they are escaped where they are
/// written.
struct Item {
  std::string suite, sample_id, group;
  std::string question;
  std::vector<std::string> images;  ///< URIs: data:image/… or relative to the report
  std::vector<ItemCandidate> candidates;
  std::string human;    ///< label or score, as text
  std::string verdict;  ///< combined, as text, or why there is none
  unsigned reasons = 0;
  std::vector<ItemCall> calls;
};

/// How the pictures of an item are shown: inside the page, or from where they are.
enum class Pictures : std::uint8_t { inlined, linked };

/// The items of a report, the most telling ones first; made when they are needed, one at a time.
struct ItemList {
  std::size_t count = 0;
  std::function<Item(std::size_t, Pictures)> item;
};

/// Everything a report shows.
struct ReportData {
  std::string run;
  std::string judge;     ///< id and what it is
  std::string version;   ///< of the program
  std::string made;      ///< date and time, as text
  std::string state;     ///< "complete", or why not
  std::string job_text;  ///< resolved job
  std::vector<SuiteReport> suites;
  Cost cost;
  ItemList items;
};

/// Counts, metrics, curve, tables of a suite from its judged samples: those with at least one vote. `rule.suite` becomes
/// the id; prompt, profile, rules and `calls.wanted` are left to the caller.
SuiteReport summarise(std::span<const metrics::JudgedSample> samples, const metrics::AgreementRule& rule);

/// All `samples`, the most telling ones first, with the reasons that hold: disagreements (pair, label and rank: the
/// verdict differs from the label, most unanimous votes first; score: largest error), samples with unreadable calls, the
/// longest twentieth of the texts (`text_sizes`: one per sample, any unit), order flips, and the others in an order that
/// depends on their ids alone. The five take turns, each the worst first, so that any beginning has some of all.
struct TellingItem {
  std::size_t sample = 0;
  unsigned reasons = 0;
};
std::vector<TellingItem> telling_items(std::span<const metrics::JudgedSample> samples,
                                       verdict::Protocol protocol, std::span<const std::int64_t> text_sizes);

/// The sentences that say plainly how good this judge is on a suite: chance, unreadable answers, position
/// bias.
std::vector<std::string> findings(const SuiteReport& suite);

/// The figures as text.
std::string markdown(const ReportData& data);
/// {"run", "judge", "suites": [{"id", "calls", "metrics": [{"group", "name", "value", "low", "high", "n",
/// …}]}]}.
std::string metrics_json(const ReportData& data);
/// One line per metric: suite, group, name, value, low, high, n, undefined, no_interval, rule.
std::string metrics_csv(const ReportData& data);

/// Writes report.html, report.md, metrics.json and metrics.csv into `folder`, each whole or not at all, and items that
/// are too many for the page into report-data/ beside it.
void write_report(const std::filesystem::path& folder, const ReportData& data);

/// A picture file as data:image/…;base64, or nothing when it is no PNG, JPEG, WebP or GIF, cannot be read or
/// is larger than `limit_bytes`.
std::string image_uri(const std::filesystem::path& path, std::uintmax_t limit_bytes);

/// A picture file as a link from a page in `folder`.
std::string image_link(const std::filesystem::path& path, const std::filesystem::path& folder);

}  // namespace assize::report
