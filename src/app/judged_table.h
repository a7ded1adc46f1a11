#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/table.h"
#include "metrics/metric_table.h"

namespace assize::app {

/// Which columns of a table say what, and how its words are read.
struct TableColumns {
  std::string protocol;                 ///< "score", "pair", "label" or "rank"
  std::string human;                    ///< people's label; empty: the table has none
  std::string rater;                    ///< who gave `human`: one row per item and rater; empty: one row per item
  std::vector<std::string> annotators;  ///< further columns, each the labels of one annotator
  std::vector<std::string> verdicts;    ///< one column per vote
  std::string scores;                   ///< "COLUMN,COLUMN…": a score per candidate instead of verdicts (pair, rank)
  std::string systems;                  ///< "COLUMN,COLUMN": who made each of the two candidates; may be empty
  std::string vote;                     ///< number or name of the vote: one row per item and vote; may be empty
  std::string order;                    ///< order shown, "AB" or "BA"; may be empty
  std::string id, group, cluster;       ///< empty: `id` where there is such a column, else the line; none; none
  std::vector<std::string> words;       ///< "WORD=LABEL": what the table's own words mean
  std::string on_unreadable = "exclude";  ///< what an empty verdict counts as
  std::string combine;                    ///< "majority" or "mean"; empty: mean for scores, majority otherwise
};

/// The items of a table, and the rule by which their votes are combined.
struct JudgedTable {
  std::vector<metrics::JudgedSample> samples;  ///< in the order in which their ids appear
  std::vector<std::size_t> rows;               ///< first row of each sample
  metrics::AgreementRule rule;
  std::string rules;  ///< one line for the report: votes, orders, policy
};

/// Reads samples out of a table. Every problem of the cells is reported at once, at most 20, as "file:line: column
/// 'x': item 'y': …": a label outside the protocol's set, a score that is no finite number, an item without group where
/// others have one, two labels of one item by one annotator, an item twice without a column of votes or raters, an item
/// whose human label or group differs between rows, a number of votes that differs between items. Throws base::Error.
JudgedTable judge_table(const Table& table, const TableColumns& columns);

/// "majority" or "mean" as the rule of `protocol`; empty is its default. Throws base::Error for other words.
verdict::VoteRule vote_rule_named(const std::string& word, verdict::Protocol protocol);

}  // namespace assize::app
