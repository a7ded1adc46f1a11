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

constexpr std::size_t kItemsPerReason = 40;
constexpr std::uintmax_t kImageLimitBytes = 200 * 1024;

verdict::CombineRule combine_rule(const suite::Suite& suite, const job::Judging& judging) {
  verdict::CombineRule rule;
  switch (judging.on_unreadable) {
    case job::OnUnreadable::exclude: rule.unreadable = verdict::UnreadablePolicy::exclude; break;
    case job::OnUnreadable::wrong: rule.unreadable = verdict::UnreadablePolicy::wrong; break;
    case job::OnUnreadable::tie: rule.unreadable = verdict::UnreadablePolicy::tie; break;
  }
  // Probabilities of both orders are averaged: a label that is likelier only because it comes first cancels out.
  if (judging.reading == job::Reading::likelihood && (suite.protocol == Protocol::pair || suite.protocol == Protocol::rank)) {
    rule.votes = verdict::VoteRule::mean;
  }
  if (suite.protocol == Protocol::score && judging.on_unreadable != job::OnUnreadable::exclude) {
    rule.unreadable = verdict::UnreadablePolicy::constant;
    rule.constant = suite.prompt.profile.low;
  }
  return rule;
}

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

results::SampleRow sample_row(const suite::Suite& suite, const suite::Sample& sample, const verdict::Combined& combined) {
  results::SampleRow row;
  row.suite = suite.id;
  row.id = sample.id;
  row.group = sample.group;
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
  SuiteAssessment(const Plan& plan, const suite::Suite& suite, const results::JournalIndex& index)
      : plan_(plan), suite_(suite), index_(index) {
    rule_.suite = suite.id;
    rule_.protocol = suite.protocol;
    rule_.combine = combine_rule(suite, plan.job.judging);
    rule_.score_low = suite.prompt.profile.low;
    rule_.score_high = suite.prompt.profile.high;
    rule_.bootstrap.seed = plan.job.judging.seed;
  }

  void add_sample(const suite::Sample& sample, results::ResultsWriter& writer, report::Cost& cost, Assessment& assessment) {
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
    ReadCalls calls = read_calls(plan_, suite_, sample, index_, sample_index);
    assessment.wanted += calls.wanted;
    assessment.judged += calls.rows.size();
    assessment.failed += calls.failed;
    judged.votes = std::move(calls.votes);
    std::int64_t text_size = 0;
    for (const results::JudgementRow& row : calls.rows) {
      text_size += static_cast<std::int64_t>(row.judgement.text.size());
      cost.judge_seconds += row.judgement.seconds;
      cost.prompt_tokens += row.judgement.prompt_tokens;
      cost.prefilled_tokens += row.judgement.prefilled_tokens;
      cost.output_tokens += static_cast<std::int64_t>(row.judgement.token_ids.size());
    }
    judged.combined = verdict::combine(judged.votes, suite_.protocol, rule_.combine);
    writer.add(sample_row(suite_, sample, judged.combined));
    for (std::size_t i = 0; i < sample.candidates.size(); ++i) {
      writer.add(results::CandidateRow{sample_index, static_cast<std::uint16_t>(i), sample.candidates[i].text, ""});
    }
    for (const auto& row : calls.rows) writer.add(row);
    samples_.push_back(std::move(judged));
    text_sizes_.push_back(text_size);
  }

  report::SuiteReport summary() const {
    report::SuiteReport out = report::summarise(samples_, rule_);
    const job::Judging& judging = plan_.job.judging;
    out.prompt = suite_.prompt.id;
    out.profile = judging.reading == job::Reading::likelihood ? "likelihood"
                  : judging.parser == job::Parser::repo       ? "repo"
                                                              : "strict";
    static constexpr const char* kPolicies[] = {"left out", "counted as wrong", "counted as ties"};
    out.rules = fmt::format("{} {}, {}; unreadable votes are {}", judging.votes, judging.votes == 1 ? "vote" : "votes",
                            judging.orders == job::Orders::both && suite_.protocol != Protocol::score ? "both orders" : "order as given",
                            kPolicies[static_cast<int>(judging.on_unreadable)]);
    out.calls.wanted = static_cast<std::int64_t>(count_calls(plan_, suite_));
    return out;
  }

  void add_items(std::vector<report::Item>& items) const {
    for (const auto& telling : report::telling_items(samples_, suite_.protocol, text_sizes_, kItemsPerReason)) {
      items.push_back(item(telling));
    }
  }

 private:
  report::Item item(const report::TellingItem& telling) const {
    const suite::Sample& sample = suite_.samples[telling.sample];
    const metrics::JudgedSample& judged = samples_[telling.sample];
    report::Item out;
    out.suite = suite_.id;
    out.sample_id = sample.id;
    out.group = sample.group;
    out.question = sample.question;
    const auto add_images = [&out](const std::vector<std::string>& paths) {
      for (const auto& path : paths) {
        if (std::string uri = report::image_uri(path, kImageLimitBytes); !uri.empty()) out.images.push_back(std::move(uri));
      }
    };
    add_images(sample.images);
    for (const auto& candidate : sample.candidates) {
      add_images(candidate.images);
      out.candidates.push_back(candidate.text);
    }
    out.human = sample.human;
    out.verdict = !judged.combined.ok()                  ? std::string(verdict::name(judged.combined.status))
                  : suite_.protocol == Protocol::score ? fmt::format("{:.3g}", judged.combined.value)
                                                       : judged.combined.choice;
    out.reasons = telling.reasons;
    for (const base::CallKey& key : call_keys(plan_, suite_, sample)) {
      const auto found = index_.find(base::digest(key));
      if (!found) continue;
      report::ItemCall call;
      for (std::uint16_t candidate : key.presentation) {
        if (!call.presentation.empty()) call.presentation += ' ';
        call.presentation += static_cast<char>('A' + candidate);
      }
      call.vote = key.vote;
      call.verdict = read_judgement(*found, suite_, plan_.job.judging);
      call.text = found->status == results::Status::failed ? found->error : found->text;
      call.output_tokens = static_cast<std::int64_t>(found->token_ids.size());
      out.calls.push_back(std::move(call));
    }
    return out;
  }

  const Plan& plan_;
  const suite::Suite& suite_;
  const results::JournalIndex& index_;
  metrics::AgreementRule rule_;
  std::vector<metrics::JudgedSample> samples_;
  std::vector<std::int64_t> text_sizes_;
};

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
                  const std::function<void(double)>& progress) {
  if (plan.job.kind == job::Kind::label) return write_labels(plan, run_folder, progress);
  const results::JournalIndex index(run_folder);
  std::size_t total = 0, done = 0;
  for (const auto& suite : plan.suites) total += suite.samples.size();

  Assessment assessment;
  assessment.look_at = run_folder / "report.html";
  report::ReportData data;
  const results::FileInfo info = file_info(plan, index);
  results::ResultsWriter writer(run_folder / "results.h5", info);
  std::vector<SuiteAssessment> assessed;
  for (const auto& suite : plan.suites) {
    assessed.emplace_back(plan, suite, index);
    for (const auto& sample : suite.samples) {
      assessed.back().add_sample(sample, writer, data.cost, assessment);
      if (++done % 1024 == 0) progress(0.7 * static_cast<double>(done) / static_cast<double>(total));
    }
  }
  for (std::size_t i = 0; i < assessed.size(); ++i) {
    data.suites.push_back(assessed[i].summary());
    for (const auto& metric : data.suites.back().metrics) writer.add(metric_row(metric));
    assessed[i].add_items(data.items);
    progress(0.7 + 0.2 * static_cast<double>(i + 1) / static_cast<double>(assessed.size()));
  }
  writer.finish();

  data.run = fs::absolute(run_folder).lexically_normal().filename().string();
  data.judge = plan.job.judge.id;
  data.version = code_version();
  data.made = info.created;
  data.state = assessment.complete() ? "complete"
                                     : fmt::format("unfinished: {} of {} calls judged", assessment.judged, assessment.wanted);
  data.job_text = plan.job.resolved_yaml;
  data.cost.wall_seconds = notes.wall_seconds;
  data.cost.groups = notes.groups;
  data.cost.machine = notes.machine;
  report::write_report(run_folder, data);
  progress(1);
  return assessment;
}

}  // namespace assize::app
