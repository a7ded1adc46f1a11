#include "app/compare.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "app/exit_codes.h"
#include "base/error.h"
#include "base/file.h"

namespace assize::app {

using verdict::Protocol;

namespace {

/// Where to find the suite `id` in each source; a table is every suite's, if there is one suite only.
std::vector<const JudgedSuite*> same_suite(const std::vector<JudgedSource>& sources, const JudgedSuite& wanted) {
  std::vector<const JudgedSuite*> found;
  for (const auto& source : sources) {
    const JudgedSuite* match = nullptr;
    for (const auto& suite : source.suites) {
      if (suite.id == wanted.id || suite.id.empty() || wanted.id.empty()) match = &suite;
    }
    if (match && (match->id.empty() || wanted.id.empty()) && std::any_of(sources.begin(), sources.end(), [](const auto& s) { return s.suites.size() > 1; })) {
      throw base::Error(fmt::format("{}: a table cannot be paired with a run of several suites; compare with a run of one", source.name));
    }
    if (match && match->rule.protocol != wanted.rule.protocol) {
      throw base::Error(fmt::format("{}: protocol {}, but {} has protocol {}", source.name, verdict::name(match->rule.protocol),
                                    sources[0].name, verdict::name(wanted.rule.protocol)));
    }
    found.push_back(match);
  }
  return found;
}

/// The suites that some sources have and others have not.
std::vector<std::string> lone_suites(const std::vector<JudgedSource>& sources, const std::vector<ComparedSuite>& compared) {
  std::set<std::string> lone;
  for (const auto& source : sources) {
    for (const auto& suite : source.suites) {
      const bool found = std::any_of(compared.begin(), compared.end(), [&](const auto& c) { return c.id == suite.id || suite.id.empty(); });
      if (!found) lone.insert(suite.id);
    }
  }
  return {lone.begin(), lone.end()};
}

/// People's label of one item: that of the judges that have one, which must be the same.
void share_label(ComparedSuite& suite, std::size_t item) {
  const metrics::JudgedSample* labelled = nullptr;
  for (const auto& judge : suite.samples) {
    const auto& sample = judge[item];
    if (sample.human.empty() && !sample.human_score) continue;
    if (labelled && (labelled->human != sample.human || labelled->human_score != sample.human_score)) {
      const auto text = [](const metrics::JudgedSample& s) { return s.human_score ? fmt::format("{}", *s.human_score) : s.human; };
      throw base::Error(fmt::format("item '{}': people's label is '{}' in one source and '{}' in another; both must judge the same data",
                                    sample.id, text(*labelled), text(sample)));
    }
    labelled = &sample;
  }
  if (!labelled) return;
  const std::string human = labelled->human;
  const auto score = labelled->human_score;
  for (auto& judge : suite.samples) {
    judge[item].human = human;
    judge[item].human_score = score;
  }
}

bool says_same(const metrics::JudgedSample& a, const metrics::JudgedSample& b, Protocol protocol) {
  if (!a.combined.ok() || !b.combined.ok()) return a.combined.ok() == b.combined.ok();
  return protocol == Protocol::score ? a.combined.value == b.combined.value : a.combined.choice == b.combined.choice;
}

/// How telling a difference is: one judge right and the other wrong, or the distance of the scores.
double weight_of(const metrics::JudgedSample& a, const metrics::JudgedSample& b, Protocol protocol) {
  if (!a.combined.ok() || !b.combined.ok()) return 0;
  if (protocol == Protocol::score) return 1 + std::abs(a.combined.value - b.combined.value);
  return (a.combined.choice == a.human) != (b.combined.choice == b.human) ? 2 : 1;
}

SuiteComparison compare_two(const ComparedSuite& suite, std::size_t first, std::size_t second, const metrics::PermutationSettings& permutations) {
  SuiteComparison out;
  out.first = first;
  out.second = second;
  metrics::PairedSamples pairs;
  std::vector<std::pair<double, std::size_t>> differing;
  for (std::size_t i = 0; i < suite.samples[first].size(); ++i) {
    const auto &a = suite.samples[first][i], &b = suite.samples[second][i];
    pairs.first.push_back(&a);
    pairs.second.push_back(&b);
    out.left_out += !a.combined.ok() || !b.combined.ok();
    if (!says_same(a, b, suite.rule.protocol)) differing.emplace_back(-weight_of(a, b, suite.rule.protocol), i);
  }
  std::sort(differing.begin(), differing.end());
  for (const auto& [weight, i] : differing) {
    out.differing.push_back({&suite.samples[first][i], &suite.samples[second][i], suite.questions[i], suite.texts[first][i], suite.texts[second][i]});
  }
  const bool labelled = std::any_of(pairs.first.begin(), pairs.first.end(), [](const auto* s) { return !s->human.empty() || s->human_score; });
  if (labelled) out.with_people = metrics::compare_with_people(pairs, suite.rule, permutations);
  out.judges = metrics::compare_judges(pairs, suite.rule);
  return out;
}

void compare_all(ComparedSuite& suite, bool panel, const metrics::PermutationSettings& permutations) {
  const std::size_t judges = suite.judges.size() - panel;
  for (std::size_t j = 1; j < judges; ++j) suite.comparisons.push_back(compare_two(suite, 0, j, permutations));
  for (std::size_t j = 0; panel && j < judges; ++j) suite.comparisons.push_back(compare_two(suite, j, judges, permutations));
  if (judges < 3) return;
  std::vector<std::vector<const metrics::JudgedSample*>> all(judges);
  for (std::size_t j = 0; j < judges; ++j) {
    for (const auto& sample : suite.samples[j]) all[j].push_back(&sample);
  }
  suite.all_judges = metrics::agreement_of_judges(all, suite.rule);
}

}  // namespace

std::vector<ComparedSuite> pair_items(const std::vector<JudgedSource>& sources) {
  std::vector<ComparedSuite> out;
  for (const auto& wanted : sources[0].suites) {
    const auto found = same_suite(sources, wanted);
    if (std::find(found.begin(), found.end(), nullptr) != found.end()) continue;
    ComparedSuite suite;
    suite.rule = wanted.rule;
    for (std::size_t j = 0; j < sources.size(); ++j) {
      if (suite.id.empty()) suite.id = suite.rule.suite = found[j]->id;
      suite.judges.push_back(sources[j].name);
      suite.settings.push_back(fmt::format("{}; prompt {}, parser {}", sources[j].about, found[j]->prompt, found[j]->profile));
    }
    std::vector<std::unordered_map<std::string, std::size_t>> places(sources.size());
    for (std::size_t j = 0; j < sources.size(); ++j) {
      for (std::size_t i = 0; i < found[j]->samples.size(); ++i) places[j][found[j]->samples[i].id] = i;
    }
    suite.samples.resize(sources.size());
    suite.texts.resize(sources.size());
    for (std::size_t i = 0; i < wanted.samples.size(); ++i) {
      const std::string& id = wanted.samples[i].id;
      if (std::any_of(places.begin(), places.end(), [&](const auto& ids) { return !ids.count(id); })) continue;
      suite.questions.emplace_back();
      for (std::size_t j = 0; j < sources.size(); ++j) {
        const std::size_t at = places[j].at(id);
        suite.samples[j].push_back(found[j]->samples[at]);
        suite.texts[j].push_back(found[j]->texts[at]);
        if (suite.questions.back().empty()) suite.questions.back() = found[j]->questions[at];
      }
      share_label(suite, suite.questions.size() - 1);
    }
    for (std::size_t j = 0; j < sources.size(); ++j) {
      suite.unmatched.push_back(static_cast<std::int64_t>(found[j]->samples.size() - suite.questions.size()));
    }
    if (suite.questions.empty()) {
      throw base::Error(fmt::format("{}: no item has the id of an item of the others; --id names the column of the ids", sources[0].name));
    }
    out.push_back(std::move(suite));
  }
  if (out.empty()) throw base::Error(fmt::format("{}: has no suite that all the others have", sources[0].name));
  return out;
}

void add_panel(ComparedSuite& suite, const std::string& word) {
  verdict::CombineRule rule;
  rule.votes = vote_rule_named(word, suite.rule.protocol);
  const std::size_t judges = suite.judges.size();
  std::vector<metrics::JudgedSample> panel = suite.samples[0];
  for (std::size_t i = 0; i < panel.size(); ++i) {
    std::vector<verdict::Vote> votes;
    for (std::size_t j = 0; j < judges; ++j) {
      const auto& said = suite.samples[j][i].combined;
      verdict::Vote vote;
      vote.vote = static_cast<std::uint32_t>(j);
      vote.verdict = verdict::no_verdict(said.ok() ? verdict::VerdictStatus::unreadable : said.status, "no verdict");
      if (said.ok() && said.choice != "wrong") {
        vote.verdict.status = said.status;
        vote.verdict.choice = said.choice;
        vote.verdict.value = said.value;
        vote.verdict.scores = said.scores;
      }
      votes.push_back(std::move(vote));
    }
    panel[i].votes = {};
    panel[i].combined = verdict::combine(votes, suite.rule.protocol, rule);
  }
  suite.judges.push_back(fmt::format("panel ({} of {})", word, judges));
  suite.settings.push_back("one vote a judge");
  suite.texts.emplace_back(panel.size());
  suite.unmatched.push_back(0);
  suite.samples.push_back(std::move(panel));
}

int compare(const CompareOptions& options) {
  if (options.sources.size() < 2 && options.expect_file.empty()) {
    throw base::Error("give at least two run folders or tables, or one with --expect FILE");
  }
  if (options.permutations < 1 || options.resamples < 0) throw base::Error("--permutations must be at least 1, --resamples at least 0");
  if (options.sources.size() < 2 && !options.combine.empty()) throw base::Error("--combine needs at least two judges");
  if (!options.panel_file.empty() && options.combine.empty()) throw base::Error("--panel needs --combine majority or --combine mean");
  std::vector<JudgedSource> sources;
  for (const auto& path : options.sources) sources.push_back(load_source(path, options.columns, options.text));

  metrics::BootstrapSettings bootstrap;
  bootstrap.resamples = options.resamples;
  bootstrap.seed = options.seed;
  std::vector<ComparedSuite> suites;
  if (sources.size() > 1) suites = pair_items(sources);
  for (auto& suite : suites) {
    suite.rule.bootstrap = bootstrap;
    if (!options.combine.empty()) add_panel(suite, options.combine);
    compare_all(suite, !options.combine.empty(), {options.permutations, options.seed});
  }
  std::vector<CheckedFigure> checked;
  if (!options.expect_file.empty()) checked = check_expected(read_expected(options.expect_file), figures_of(sources[0], bootstrap));
  if (options.json) {
    fmt::print("{}", compare_json(suites, checked, options.items));
  } else {
    fmt::print("{}", compare_text(suites, options.items));
    if (const auto lone = lone_suites(sources, suites); !suites.empty() && !lone.empty()) {
      fmt::print("\nleft out, not in all sources: {}\n", fmt::join(lone, ", "));
    }
    if (!checked.empty()) fmt::print("{}{}\n{}", suites.empty() ? "" : "\n", sources[0].name, expected_text(checked));
  }
  if (!options.panel_file.empty()) base::write_file_atomically(options.panel_file, panel_csv(suites));
  return accepted(checked) ? 0 : kOutsideBand;
}

}  // namespace assize::app
