#include "app/assess.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "app/identity.h"
#include "app/read_calls.h"
#include "app/write_labels.h"
#include "metrics/metric_table.h"
#include "report/report.h"
#include "results/results_writer.h"
#include "verdict/combine.h"

namespace assize::app {

namespace fs = std::filesystem;
using verdict::Protocol;
using verdict::VerdictStatus;

namespace {

constexpr std::uintmax_t kImageLimitBytes = 200 * 1024;

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The profile by name, and what the job does otherwise.
std::string profile_text(const job::JobSpec& job) {
  if (job.judging.reading == job::Reading::likelihood) return "likelihood";
  static constexpr const char* kParsers[] = {"strict", "paper", "repo"};
  const char* parser = kParsers[static_cast<int>(job.judging.parser)];
  std::string text = job::name(job.profile);
  if (text != parser) text += fmt::format(", parser {}", parser);
  if (job.judging.thinking == job::Thinking::off) text += ", no thinking";
  if (job.judging.budget_forcing > 0) text += fmt::format(", {} x {}", job.judging.budget_forcing, job.judging.budget_word);
  return text;
}

std::string policy_text(const verdict::CombineRule& rule) {
  switch (rule.unreadable) {
    case verdict::UnreadablePolicy::exclude: return "left out";
    case verdict::UnreadablePolicy::wrong: return "counted as wrong";
    case verdict::UnreadablePolicy::tie: return "counted as ties";
    case verdict::UnreadablePolicy::constant: break;
  }
  return fmt::format("counted as {}", rule.constant);
}

results::SampleRow sample_row(const suite::Suite& suite, const suite::Sample& sample, const verdict::Combined& combined) {
  results::SampleRow row;
  row.suite = suite.id;
  row.id = sample.id;
  row.group = sample.group;
  row.cluster = sample.cluster;
  row.question = sample.question;
  row.human_value = std::numeric_limits<double>::quiet_NaN();
  if (suite.protocol == Protocol::score) {
    if (const auto value = number(sample.human)) row.human_value = *value;
  } else {
    row.human_choice = sample.human;
  }
  row.status = combined.status;
  row.choice = combined.choice;
  row.value = combined.value;
  row.scores = combined.scores;
  row.votes = static_cast<std::uint32_t>(combined.votes);
  row.unreadable = static_cast<std::uint32_t>(combined.unreadable);
  row.agreement = combined.agreement;
  row.orders = static_cast<std::uint8_t>(combined.orders);
  return row;
}

/// Everything of one suite on its way from the journal to the files.
class SuiteAssessment {
 public:
  SuiteAssessment(const Plan& plan, const suite::Suite& suite, const CallReader& reader)
      : plan_(plan), suite_(suite), reader_(reader) {
    rule_.suite = suite.id;
    rule_.protocol = suite.protocol;
    rule_.combine = combine_rule(suite, plan.job.judging);
    rule_.score_low = suite.prompt.profile.low;
    rule_.score_high = suite.prompt.profile.high;
    rule_.bootstrap.seed = plan.job.judging.seed;
    samples_.reserve(suite.samples.size());
  }

  void add_sample(std::uint32_t place, results::ResultsWriter& writer, report::Cost& cost, Assessment& assessment) {
    const suite::Sample& sample = suite_.samples[place];
    metrics::JudgedSample judged;
    judged.id = sample.id;
    judged.group = sample.group;
    judged.cluster = sample.cluster;
    if (suite_.protocol == Protocol::score) {
      judged.human_score = number(sample.human);
    } else {
      judged.human = sample.human;
    }
    for (const auto& [unused, label] : sample.annotators) judged.annotators.push_back(label);
    const std::int64_t sample_index = writer.samples();
    const ReadCalls calls = reader_.read(suite_, sample, sample_index);
    assessment.wanted += calls.wanted;
    assessment.judged += calls.rows.size();
    assessment.failed += calls.failed;
    assessment.spared += calls.spared;
    wanted_ += static_cast<std::int64_t>(calls.wanted);
    spared_ += static_cast<std::int64_t>(calls.spared);
    std::int64_t text_size = 0;
    for (const results::JudgementRow& row : calls.rows) {
      text_size += static_cast<std::int64_t>(row.judgement.text.size());
      cost.judge_seconds += row.judgement.seconds;
      cost.prompt_tokens += row.judgement.prompt_tokens;
      cost.prefilled_tokens += row.judgement.prefilled_tokens;
      cost.output_tokens += static_cast<std::int64_t>(row.judgement.token_ids.size());
    }
    judged.combined = verdict::combine(calls.votes, suite_.protocol, rule_.combine);
    writer.add(sample_row(suite_, sample, judged.combined));
    for (std::size_t i = 0; i < sample.candidates.size(); ++i) {
      writer.add(results::CandidateRow{sample_index, static_cast<std::uint16_t>(i), sample.candidates[i].text, ""});
    }
    for (const auto& row : calls.rows) writer.add(row);
    if (calls.votes.empty()) return;
    judged.votes = verdict::VoteList(calls.votes);
    samples_.push_back(std::move(judged));
    places_.push_back(place);
    text_sizes_.push_back(text_size);
  }

  report::SuiteReport summary() const {
    report::SuiteReport out = report::summarise(samples_, rule_);
    const job::Judging& judging = plan_.job.judging;
    out.prompt = suite_.prompt.id;
    out.profile = profile_text(plan_.job);
    out.rules = fmt::format("{} {}, {}; unreadable votes are {}", judging.votes, judging.votes == 1 ? "vote" : "votes",
                            suite_.protocol == Protocol::score || judging.orders == job::Orders::as_given ? "order as given"
                            : judging.orders == job::Orders::both ? "both orders" : "orders drawn at random",
                            policy_text(rule_.combine));
    if (judging.adaptive) out.rules += fmt::format("; adaptive, which spared {} of {} calls", spared_, wanted_ + spared_);
    out.calls.wanted = wanted_;
    return out;
  }

  std::vector<report::TellingItem> telling_items() const {
    return report::telling_items(samples_, suite_.protocol, text_sizes_);
  }

  report::Item item(const report::TellingItem& telling, report::Pictures pictures, const fs::path& folder) const {
    const suite::Sample& sample = suite_.samples[places_[telling.sample]];
    const metrics::JudgedSample& judged = samples_[telling.sample];
    report::Item out;
    out.suite = suite_.id;
    out.sample_id = sample.id;
    out.group = sample.group;
    out.question = sample.question;
    const auto uris = [&](const std::vector<std::string>& paths) {
      std::vector<std::string> found;
      for (const auto& path : paths) {
        std::string uri = pictures == report::Pictures::inlined ? report::image_uri(path, kImageLimitBytes) : report::image_link(path, folder);
        if (!uri.empty()) found.push_back(std::move(uri));
      }
      return found;
    };
    out.images = uris(sample.images);
    for (const auto& candidate : sample.candidates) out.candidates.push_back({candidate.text, uris(candidate.images)});
    out.human = sample.human;
    out.verdict = !judged.combined.ok()                  ? std::string(verdict::name(judged.combined.status))
                  : suite_.protocol == Protocol::score ? fmt::format("{:.3g}", judged.combined.value)
                                                       : judged.combined.choice;
    out.reasons = telling.reasons;
    const ReadCalls calls = reader_.read(suite_, sample, 0);
    for (const results::JudgementRow& row : calls.rows) {
      const results::Judgement& judgement = row.judgement;
      const base::CallKey& key = judgement.key;
      report::ItemCall call;
      call.criterion = key.criterion;
      call.presentation = key.presentation;
      call.vote = key.vote;
      call.verdict = row.verdict;
      call.text = judgement.status == results::Status::failed ? judgement.error : judgement.text;
      call.output_tokens = static_cast<std::int64_t>(judgement.token_ids.size());
      out.calls.push_back(std::move(call));
    }
    return out;
  }

 private:
  const Plan& plan_;
  const suite::Suite& suite_;
  const CallReader& reader_;
  metrics::AgreementRule rule_;
  std::vector<metrics::JudgedSample> samples_;  ///< judged ones
  std::vector<std::uint32_t> places_;     ///< of each among the suite's samples
  std::vector<std::int64_t> text_sizes_;  ///< of each, in bytes, over its calls
  std::int64_t wanted_ = 0;
  std::int64_t spared_ = 0;
};

/// The items of all suites, the most telling ones of each in turn: (suite, item).
std::vector<std::pair<std::size_t, report::TellingItem>> items_in_turn(const std::vector<SuiteAssessment>& suites) {
  std::vector<std::vector<report::TellingItem>> items;
  std::size_t longest = 0;
  for (const auto& suite : suites) {
    items.push_back(suite.telling_items());
    longest = std::max(longest, items.back().size());
  }
  std::vector<std::pair<std::size_t, report::TellingItem>> order;
  for (std::size_t i = 0; i < longest; ++i) {
    for (std::size_t s = 0; s < items.size(); ++s) {
      if (i < items[s].size()) order.emplace_back(s, items[s][i]);
    }
  }
  return order;
}

results::MetricRow metric_row(const metrics::Metric& metric) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  results::MetricRow row{metric.suite, metric.group, metric.name, metric.rule, none, none, none, metric.estimate.n};
  if (metric.estimate.defined()) row.value = metric.estimate.value;
  if (metric.estimate.has_interval()) {
    row.low = metric.estimate.low;
    row.high = metric.estimate.high;
  }
  return row;
}

}  // namespace

std::string summary(const Assessment& assessment) {
  return fmt::format("{} of {} calls judged, {} failed; {}: {}", assessment.judged, assessment.wanted, assessment.failed,
                     assessment.product, assessment.look_at.string());
}

Assessment assess(const Plan& plan, const fs::path& run_folder, const RunNotes& notes,
                  const std::function<void(double)>& progress, const fs::path& output) {
  const fs::path target = output.empty() ? run_folder : output;
  if (plan.job.kind == job::Kind::label) return write_labels(plan, run_folder, target, progress);
  const results::JournalIndex index(run_folder);
  std::size_t total = 0, done = 0;
  for (const auto& suite : plan.suites) total += suite.samples.size();

  Assessment assessment;
  assessment.look_at = run_folder / "report.html";
  report::ReportData data;
  const CallReader reader(plan, index);
  const results::FileInfo info = file_info(plan, index.summary());
  results::ResultsWriter writer(target / "results.h5", info);
  std::vector<SuiteAssessment> assessed;
  for (const auto& suite : plan.suites) {
    assessed.emplace_back(plan, suite, reader);
    for (std::uint32_t place = 0; place < suite.samples.size(); ++place) {
      assessed.back().add_sample(place, writer, data.cost, assessment);
      if (++done % 1024 == 0) progress(0.7 * static_cast<double>(done) / static_cast<double>(total));
    }
  }
  for (std::size_t i = 0; i < assessed.size(); ++i) {
    data.suites.push_back(assessed[i].summary());
    for (const auto& metric : data.suites.back().metrics) writer.add(metric_row(metric));
    progress(0.7 + 0.2 * static_cast<double>(i + 1) / static_cast<double>(assessed.size()));
  }
  if (assessment.complete()) writer.mark_complete();
  writer.finish();

  data.run = fs::absolute(run_folder).lexically_normal().filename().string();
  data.judge = plan.job.judge.id;
  data.version = code_version();
  data.made = info.created;
  data.state = assessment.complete() ? "complete"
                                     : fmt::format("unfinished: {} of {} calls judged", assessment.judged, assessment.wanted);
  data.job_text = plan.job.resolved_yaml;
  data.cost.redone = static_cast<std::int64_t>(index.summary().retracted);
  data.cost.wall_seconds = notes.wall_seconds;
  data.cost.groups = notes.groups;
  data.cost.machine = notes.machine;
  const auto order = items_in_turn(assessed);
  data.items.count = order.size();
  data.items.item = [&](std::size_t i, report::Pictures pictures) {
    return assessed[order[i].first].item(order[i].second, pictures, run_folder);
  };
  report::write_report(target, data);
  progress(1);
  return assessment;
}

}  // namespace assize::app
