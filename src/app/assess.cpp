#include "app/assess.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>

#include <fmt/format.h>

#include "app/identity.h"
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

verdict::ParserProfile profile_of(const suite::Suite& suite, const job::Judging& judging) {
  verdict::ParserProfile profile = suite.prompt.profile;
  profile.dialect = judging.parser == job::Parser::repo ? verdict::Dialect::repo : verdict::Dialect::strict;
  return profile;
}

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

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::vector<base::CallKey> keys_of(const Plan& plan, const suite::Suite& suite, const suite::Sample& sample) {
  std::vector<base::CallKey> keys;
  for (const auto& shown : presentations(suite.protocol, static_cast<int>(sample.candidates.size()), plan.job.judging.orders)) {
    for (int vote = 0; vote < plan.job.judging.votes; ++vote) {
      keys.push_back({plan.job.judge.id, suite.id, sample.id, "", shown, static_cast<std::uint32_t>(vote)});
    }
  }
  return keys;
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
    std::vector<results::JudgementRow> rows;
    std::int64_t text_size = 0;
    for (const base::CallKey& key : keys_of(plan_, suite_, sample)) {
      ++assessment.wanted;
      std::optional<results::Judgement> found = index_.find(base::digest(key));
      if (!found) continue;
      ++assessment.judged;
      assessment.failed += found->status == results::Status::failed;
      results::JudgementRow row;
      row.sample = writer.samples();
      row.verdict = read_judgement(*found, suite_, plan_.job.judging);
      row.judgement = std::move(*found);
      judged.votes.push_back({key.presentation, key.vote, row.verdict});
      text_size += static_cast<std::int64_t>(row.judgement.text.size());
      cost.judge_seconds += row.judgement.seconds;
      cost.prompt_tokens += row.judgement.prompt_tokens;
      cost.prefilled_tokens += row.judgement.prefilled_tokens;
      cost.output_tokens += static_cast<std::int64_t>(row.judgement.token_ids.size());
      rows.push_back(std::move(row));
    }
    judged.combined = verdict::combine(judged.votes, suite_.protocol, rule_.combine);
    const std::int64_t sample_index = writer.samples();
    writer.add(sample_row(suite_, sample, judged.combined));
    for (std::size_t i = 0; i < sample.candidates.size(); ++i) {
      writer.add(results::CandidateRow{sample_index, static_cast<std::uint16_t>(i), sample.candidates[i].text, ""});
    }
    for (const auto& row : rows) writer.add(row);
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
    out.calls.wanted = 0;
    for (const auto& sample : suite_.samples) out.calls.wanted += static_cast<std::int64_t>(keys_of(plan_, suite_, sample).size());
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
    for (const base::CallKey& key : keys_of(plan_, suite_, sample)) {
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

verdict::Verdict read_judgement(const results::Judgement& judgement, const suite::Suite& suite, const job::Judging& judging) {
  if (judgement.status == results::Status::failed) return verdict::no_verdict(VerdictStatus::failed, judgement.error);
  const int candidates = static_cast<int>(judgement.key.presentation.size());
  if (judging.reading == job::Reading::likelihood) {
    return verdict::read_likelihood(judgement.watch_logprobs, suite.prompt.labels, suite.protocol, candidates,
                                    judgement.key.presentation);
  }
  verdict::Verdict read = verdict::read_verdict(judgement.text, suite.protocol, candidates, judgement.key.presentation,
                                                profile_of(suite, judging));
  if (!read.ok() && judgement.status == results::Status::truncated) {
    return verdict::no_verdict(VerdictStatus::truncated, "ended at the token limit before a verdict");
  }
  return read;
}

Assessment assess(const Plan& plan, const fs::path& run_folder, const RunNotes& notes,
                  const std::function<void(double)>& progress) {
  const results::JournalIndex index(run_folder);
  std::size_t total = 0, done = 0;
  for (const auto& suite : plan.suites) total += suite.samples.size();

  Assessment assessment;
  report::ReportData data;
  std::uint64_t judged_before = 0;
  for (const auto& suite : plan.suites) {
    for (const auto& sample : suite.samples) {
      for (const auto& key : keys_of(plan, suite, sample)) judged_before += index.contains(base::digest(key));
    }
  }
  results::FileInfo info;
  info.code_version = code_version();
  info.created = utc_now();
  info.job = plan.job.resolved_yaml;
  info.identity = index.summary().identity;
  info.model_hash = identity_value(info.identity, "model");
  info.seed = plan.job.judging.seed;
  info.complete = judged_before == count_calls(plan);

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
