#include "app/judged_source.h"

#include <cmath>
#include <filesystem>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/run_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "results/results_reader.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

JudgedSource table_source(const std::string& path, const TableColumns& columns, const std::string& text) {
  if (columns.protocol.empty()) throw base::Error(fmt::format("{}: is a table; say what it holds with --protocol, --human and --verdict", path));
  const Table table = read_table(path);
  JudgedTable judged = judge_table(table, columns);
  JudgedSource source;
  source.name = path;
  source.about = fmt::format("table, {}", columns.scores.empty() ? fmt::format("column {}", fmt::join(columns.verdicts, ", ")) : "columns " + columns.scores);
  JudgedSuite suite;
  suite.prompt = "–";
  suite.profile = "table";
  suite.rule = judged.rule;
  suite.samples = std::move(judged.samples);
  suite.questions.resize(suite.samples.size());
  for (const auto row : judged.rows) suite.texts.push_back(text.empty() ? "" : table.rows[row].cells[table.column(text)]);
  source.suites.push_back(std::move(suite));
  return source;
}

/// The text shown for each sample of a run: the first judgement whose verdict is the sample's, else the first.
std::vector<std::string> texts_of(const results::ResultsReader& reader, const std::vector<std::string>& choices) {
  const auto samples = reader.numbers("judgements", "sample");
  auto texts = reader.texts("judgements", "text");
  const auto verdicts = reader.texts("judgements", "verdict_choice");
  const auto status = reader.numbers("judgements", "verdict_status");
  std::vector<std::string> out(choices.size());
  std::vector<int> rank(choices.size());  // 0 none yet, 1 any, 2 says the verdict
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto sample = static_cast<std::size_t>(samples[i]);
    if (sample >= out.size()) continue;
    const int found = status[i] == 0 && verdicts[i] == choices[sample] ? 2 : 1;
    if (found <= rank[sample]) continue;
    rank[sample] = found;
    out[sample] = std::move(texts[i]);
  }
  return out;
}

/// The suites of metrics.json, without their samples.
std::vector<JudgedSuite> described_suites(const fs::path& file) {
  const auto json = nlohmann::json::parse(base::read_file(file), nullptr, false);
  std::vector<JudgedSuite> suites;
  try {
    for (const auto& described : json.at("suites")) {
      JudgedSuite suite;
      suite.id = suite.rule.suite = described.at("id").get<std::string>();
      suite.prompt = described.at("prompt").get<std::string>();
      suite.profile = described.at("profile").get<std::string>();
      suite.rule.protocol = verdict::protocol_named(described.at("protocol").get<std::string>());
      suites.push_back(std::move(suite));
    }
  } catch (const nlohmann::json::exception&) {
    throw base::Error(fmt::format("{}: is not a metrics.json of assize; assize report {} makes it anew", file.string(), file.parent_path().string()));
  }
  return suites;
}

JudgedSource run_source(const fs::path& folder) {
  require_run_folder(folder);
  for (const char* file : {"results.h5", "metrics.json"}) {
    if (!fs::exists(folder / file)) {
      throw base::Error(fmt::format("{}: has no {} yet; assize report {} makes it", folder.string(), file, folder.string()));
    }
  }
  JudgedSource source;
  source.name = folder.string();
  source.suites = described_suites(folder / "metrics.json");
  const results::ResultsReader reader(folder / "results.h5");
  const auto judges = reader.texts("judgements", "judge");
  source.about = fmt::format("run{}{}", judges.empty() ? "" : ", judge " + judges[0], reader.complete() ? "" : ", unfinished");

  for (const auto& row : reader.metrics()) {
    metrics::Metric metric{row.suite, row.group, row.name, row.rule, {}, false};
    metric.estimate.n = row.n;
    metric.estimate.value = metric.estimate.low = metric.estimate.high = row.value;
    if (std::isnan(row.value)) metric.estimate.undefined = "in this run";
    if (std::isnan(row.low)) {
      metric.estimate.no_interval = "the run has none";
    } else {
      metric.estimate.low = row.low;
      metric.estimate.high = row.high;
    }
    source.figures.push_back(std::move(metric));
  }
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < source.suites.size(); ++i) places[source.suites[i].id] = i;
  const auto column = [&](const char* name) { return reader.texts("samples", name); };
  const auto suites = column("suite"), ids = column("id"), groups = column("group"), clusters = column("cluster"),
             humans = column("human_choice"), choices = column("choice");
  auto questions = column("question");
  const auto human_values = reader.numbers("samples", "human_value"), status = reader.numbers("samples", "status"),
             values = reader.numbers("samples", "value"), agreements = reader.numbers("samples", "agreement");
  const auto scores = reader.lists("samples", "scores");
  auto texts = texts_of(reader, choices);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto place = places.find(suites[i]);
    if (place == places.end()) {
      throw base::Error(fmt::format("{}: results.h5 has suite '{}', metrics.json has not; assize report {} makes both anew",
                                    source.name, suites[i], source.name));
    }
    JudgedSuite& suite = source.suites[place->second];
    metrics::JudgedSample sample;
    sample.id = ids[i];
    sample.group = groups[i];
    sample.cluster = clusters[i];
    sample.human = humans[i];
    if (std::isfinite(human_values[i])) sample.human_score = human_values[i];
    sample.combined.status = static_cast<verdict::VerdictStatus>(static_cast<int>(status[i]));
    sample.combined.choice = choices[i];
    sample.combined.value = values[i];
    sample.combined.scores = scores[i];
    sample.combined.agreement = agreements[i];
    suite.samples.push_back(std::move(sample));
    suite.questions.push_back(std::move(questions[i]));
    suite.texts.push_back(std::move(texts[i]));
  }
  return source;
}

}  // namespace

JudgedSource load_source(const std::string& path, const TableColumns& columns, const std::string& text) {
  return fs::is_directory(path) ? run_source(path) : table_source(path, columns, text);
}

std::vector<metrics::Metric> figures_of(const JudgedSource& source, const metrics::BootstrapSettings& bootstrap) {
  if (!source.figures.empty()) return source.figures;
  std::vector<metrics::Metric> figures;
  for (const auto& suite : source.suites) {
    metrics::AgreementRule rule = suite.rule;
    rule.bootstrap = bootstrap;
    for (auto& metric : metrics::agreement(suite.samples, rule)) figures.push_back(std::move(metric));
  }
  return figures;
}

}  // namespace assize::app
