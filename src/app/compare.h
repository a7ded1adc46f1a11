#pragma once

#include <string>
#include <vector>

#include "app/expect.h"
#include "app/judged_source.h"
#include "metrics/compare.h"

namespace assize::app {

/// What `assize compare` was asked.
struct CompareOptions {
  std::vector<std::string> sources;  ///< run folders or tables; the first is what the others are compared with
  TableColumns columns;              ///< of the tables among them
  std::string text;                  ///< tables: column of what the judge wrote
  std::string combine;               ///< "majority" or "mean": also a panel of all judges; empty: none
  std::string panel_file;            ///< CSV of the panel's verdicts; empty: none
  std::string expect_file;           ///< published figures for the first source; empty: none
  int items = 10;                    ///< differing items shown per comparison
  bool json = false;
  int resamples = 2000;
  int permutations = 10000;
  std::uint64_t seed = 0;
};

/// `assize compare`: returns the exit code, 4 when a figure lies outside its band.
int compare(const CompareOptions& options);

/// An item on which two judges say different things.
struct DifferingItem {
  const metrics::JudgedSample *first = nullptr, *second = nullptr;
  std::string question, first_text, second_text;
};

/// Two judges on one suite.
struct SuiteComparison {
  std::size_t first = 0, second = 0;      ///< judges, as in ComparedSuite::judges
  std::vector<metrics::Comparison> with_people;
  std::vector<metrics::Metric> judges;    ///< agreement with each other
  std::int64_t left_out = 0;              ///< items without a verdict of both
  std::vector<DifferingItem> differing;   ///< all of them: those where only one judge is right come first
};

/// All judges on one suite, item by item.
struct ComparedSuite {
  std::string id;
  metrics::AgreementRule rule;
  std::vector<std::string> judges;                                  ///< names; the panel is the last one
  std::vector<std::string> settings;                                ///< prompt and profile of each
  std::vector<std::vector<metrics::JudgedSample>> samples;          ///< [judge][item], the same items in each
  std::vector<std::vector<std::string>> texts;                      ///< [judge][item]
  std::vector<std::string> questions;                               ///< [item]
  std::vector<std::int64_t> unmatched;                              ///< items of each judge that another one lacks
  std::vector<metrics::Metric> all_judges;                          ///< agreement of three or more judges
  std::vector<SuiteComparison> comparisons;
};

/// Pairs the items of several judges by suite and id; tables, which name no suite, by id alone. Throws base::Error when
/// they share no item, when a suite's protocols differ or when an item's human labels differ.
std::vector<ComparedSuite> pair_items(const std::vector<JudgedSource>& sources);

/// Adds the panel of all judges as one more: one vote each, combined by `word` ("majority" or "mean").
void add_panel(ComparedSuite& suite, const std::string& word);

/// The comparison as text for a terminal, and as JSON.
std::string compare_text(const std::vector<ComparedSuite>& suites, int items);
std::string compare_json(const std::vector<ComparedSuite>& suites, const std::vector<CheckedFigure>& checked, int items);

/// The panel's verdicts: suite, id, group, human, verdict, then each judge's verdict.
std::string panel_csv(const std::vector<ComparedSuite>& suites);

}  // namespace assize::app
