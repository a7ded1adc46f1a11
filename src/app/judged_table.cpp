#include "app/judged_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "base/error.h"
#include "suite/suite.h"
#include "verdict/combine.h"

namespace assize::app {

using verdict::Protocol;

namespace {

constexpr int kMaxProblems = 20;

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<double> finite_number(const std::string& text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// The choice that scores of candidates mean: the higher one, or the candidates by score, equal ones by letter.
std::string choice_of(const std::vector<double>& scores, Protocol protocol) {
  if (protocol == Protocol::pair) return scores[0] > scores[1] ? "A" : scores[0] < scores[1] ? "B" : "tie";
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::string ranking;
  for (const auto index : order) ranking += static_cast<char>('A' + index);
  return ranking;
}

/// The label with most votes; nothing where two have as many.
std::string majority(const std::vector<std::string>& labels) {
  std::map<std::string, int> counts;
  for (const auto& label : labels) counts[label] += !label.empty();
  std::string leader;
  int most = 0;
  bool alone = false;
  for (const auto& [label, count] : counts) {
    if (count < most || count == 0) continue;
    alone = count > most;
    most = count;
    leader = label;
  }
  return alone ? leader : std::string();
}

class TableJudge {
 public:
  TableJudge(const Table& table, const TableColumns& columns) : table_(table), columns_(columns) {
    protocol_ = out_.rule.protocol = verdict::protocol_named(columns.protocol);
    out_.rule.combine.unreadable = verdict::policy_named(columns.on_unreadable);
    if (out_.rule.combine.unreadable == verdict::UnreadablePolicy::constant) {
      throw base::Error("--on-unreadable constant is not for tables; give exclude, wrong or tie");
    }
    out_.rule.combine.votes = vote_rule_named(columns.combine, protocol_);
    if (columns.verdicts.empty() == columns.scores.empty()) {
      throw base::Error("name the column of the verdicts with --verdict, or those of the candidates' scores with --scores");
    }
    if (!columns.rater.empty() && !(columns.vote.empty() && columns.order.empty())) {
      throw base::Error("--rater cannot be used with --vote or --order: a row is either one annotator's or one vote's");
    }
    for (const auto& word : columns.words) {
      const auto equals = word.rfind('=');
      if (equals == std::string::npos) throw base::Error(fmt::format("--word {}: write WORD=LABEL, for example left=A", word));
      words_[trimmed(word.substr(0, equals))] = word.substr(equals + 1);
    }
    find_columns();
  }

  JudgedTable judge() {
    for (std::size_t row = 0; row < table_.rows.size(); ++row) add(row);
    check_groups();
    check_votes();
    if (problems_ > kMaxProblems) text_ += fmt::format("\n{}: and {} more problems", table_.file, problems_ - kMaxProblems);
    if (problems_ > 0) throw base::Error(text_);
    for (auto& sample : out_.samples) {
      if (rater_) take_majority(sample);
      sample.combined = verdict::combine(sample.votes.unpacked(), protocol_, out_.rule.combine);
    }
    set_range();
    describe();
    return std::move(out_);
  }

 private:
  void find_columns() {
    const auto find = [&](const std::string& name) {
      return name.empty() ? std::nullopt : std::optional(table_.column(name));
    };
    id_ = find(columns_.id.empty() && table_.has_column("id") ? "id" : columns_.id);
    human_ = find(columns_.human);
    group_ = find(columns_.group);
    cluster_ = find(columns_.cluster);
    vote_ = find(columns_.vote);
    order_ = find(columns_.order);
    rater_ = find(columns_.rater);
    for (const auto& name : columns_.verdicts) verdicts_.push_back(table_.column(name));
    for (const auto& name : columns_.annotators) annotators_.push_back(table_.column(name));
    scores_ = columns_named(columns_.scores);
    systems_ = columns_named(columns_.systems);
    if (!systems_.empty() && (systems_.size() != 2 || (protocol_ != Protocol::pair && protocol_ != Protocol::label))) {
      throw base::Error("--systems takes two columns, for protocol pair or label");
    }
    if (scores_.empty()) return;
    const bool fits = protocol_ == Protocol::pair ? scores_.size() == 2 : protocol_ == Protocol::rank && scores_.size() > 1 && scores_.size() <= 26;
    if (!fits) throw base::Error("--scores takes two columns for protocol pair and 2 to 26 for protocol rank");
  }

  /// The columns of "NAME,NAME…".
  std::vector<std::size_t> columns_named(std::string names) const {
    std::vector<std::size_t> columns;
    while (!names.empty()) {
      const auto comma = names.find(',');
      columns.push_back(table_.column(trimmed(names.substr(0, comma))));
      names = comma == std::string::npos ? "" : names.substr(comma + 1);
    }
    return columns;
  }

  void problem(const TableRow& row, const std::string& id, std::optional<std::size_t> column, const std::string& what) {
    if (++problems_ > kMaxProblems) return;
    text_ += fmt::format("{}{}: {}item '{}': {}", text_.empty() ? "" : "\n", table_.place(row),
                         column ? fmt::format("column '{}': ", table_.columns[*column]) : "", id, what);
  }

  std::string cell(const TableRow& row, std::optional<std::size_t> column) const {
    return column ? trimmed(row.cells[*column]) : std::string();
  }

  /// A label or score in canonical spelling; empty where the cell is, or after a problem.
  std::string label(const TableRow& row, const std::string& id, std::size_t column) {
    std::string text = cell(row, column);
    if (const auto word = words_.find(text); word != words_.end()) text = word->second;
    if (text.empty()) return {};
    if (protocol_ == Protocol::score) {
      if (finite_number(text)) return text;
      problem(row, id, column, fmt::format("'{}' is not a finite number", text));
      return {};
    }
    std::string canonical = suite::canonical_label(text, protocol_, static_cast<int>(text.size()) - static_cast<int>(std::count(text.begin(), text.end(), ' ')), true);
    if (canonical.empty()) {
      static const std::map<Protocol, const char*> kLabels = {{Protocol::pair, "A, B or tie"},
                                                              {Protocol::label, "A>B, B>A, A=B=Good or A=B=Bad"},
                                                              {Protocol::rank, "a ranking such as CDAB"}};
      problem(row, id, column, fmt::format("'{}' is not {}; --word '{}=LABEL' says what it means", text, kLabels.at(protocol_), text));
    }
    return canonical;
  }

  verdict::Verdict verdict_of(const TableRow& row, const std::string& id, std::size_t column) {
    const std::string text = label(row, id, column);
    if (text.empty()) return verdict::no_verdict(verdict::VerdictStatus::unreadable, "no verdict in the table");
    verdict::Verdict verdict;
    verdict.status = verdict::VerdictStatus::ok;
    if (protocol_ == Protocol::score) {
      verdict.value = *finite_number(text);
      verdict.scores = {verdict.value};
    } else {
      verdict.choice = text;
      verdict.value = verdict::sign_of(text);
    }
    return verdict;
  }

  verdict::Verdict scored_verdict(const TableRow& row, const std::string& id) {
    verdict::Verdict verdict;
    for (const auto column : scores_) {
      const std::string text = cell(row, column);
      const auto score = finite_number(text);
      if (text.empty()) return verdict::no_verdict(verdict::VerdictStatus::unreadable, "no score in the table");
      if (!score) problem(row, id, column, fmt::format("'{}' is not a finite number", text));
      verdict.scores.push_back(score.value_or(0));
    }
    verdict.status = verdict::VerdictStatus::ok;
    verdict.choice = choice_of(verdict.scores, protocol_);
    if (protocol_ == Protocol::pair) verdict.value = verdict.scores[0] - verdict.scores[1];
    return verdict;
  }

  std::size_t candidates(const metrics::JudgedSample& sample) const {
    if (protocol_ == Protocol::score) return 1;
    if (protocol_ != Protocol::rank) return 2;
    return scores_.empty() ? std::max<std::size_t>(2, sample.human.size()) : scores_.size();
  }

  std::vector<std::uint16_t> presentation(const TableRow& row, const metrics::JudgedSample& sample) {
    std::vector<std::uint16_t> shown(candidates(sample));
    std::iota(shown.begin(), shown.end(), std::uint16_t{0});
    const std::string order = cell(row, order_);
    if (!order_) return shown;
    const std::string canonical = suite::canonical_label(order, Protocol::rank, static_cast<int>(shown.size()), false);
    if (canonical.empty()) {
      problem(row, sample.id, order_, fmt::format("'{}' is no order of {} candidates, such as AB or BA", order, shown.size()));
      return shown;
    }
    for (std::size_t i = 0; i < shown.size(); ++i) shown[i] = static_cast<std::uint16_t>(canonical[i] - 'A');
    return shown;
  }

  void add(std::size_t index) {
    const TableRow& row = table_.rows[index];
    const std::string id = id_ ? cell(row, id_) : fmt::format("line {}", row.line);
    if (id.empty()) return problem(row, id, id_, "the id is empty");
    const auto [place, fresh] = places_.try_emplace(id, out_.samples.size());
    metrics::JudgedSample read;
    read.id = id;
    read.group = cell(row, group_);
    read.cluster = cell(row, cluster_);
    const std::string human = human_ ? label(row, id, *human_) : "";
    if (!rater_) set_human(read, human);
    for (const auto column : systems_) read.systems.push_back(cell(row, column));
    for (const auto column : annotators_) read.annotators.push_back(label(row, id, column));
    if (fresh) {
      out_.samples.push_back(read);
      out_.rows.push_back(index);
    } else if (!vote_ && !order_ && !rater_) {
      return problem(row, id, id_, fmt::format("is there twice, first on line {}; --vote, --order or --rater names the column that tells rows of an item apart",
                                               table_.rows[out_.rows[place->second]].line));
    }
    metrics::JudgedSample& sample = out_.samples[place->second];
    const TableRow& first = table_.rows[out_.rows[place->second]];
    const auto same = [&](bool equal, std::optional<std::size_t> column, const char* what) {
      if (!equal) problem(row, id, column, fmt::format("the {} differs from that on line {}", what, first.line));
    };
    same(sample.group == read.group, group_, "group");
    same(sample.cluster == read.cluster, cluster_, "cluster");
    same(sample.human == read.human && sample.human_score == read.human_score, human_, "human label");
    if (rater_) return add_rating(row, sample, human, fresh);
    add_votes(row, sample);
  }

  void set_human(metrics::JudgedSample& sample, const std::string& label) const {
    if (protocol_ == Protocol::score) {
      sample.human_score = finite_number(label);
    } else {
      sample.human = label;
    }
  }

  void add_rating(const TableRow& row, metrics::JudgedSample& sample, const std::string& label, bool fresh) {
    const std::string rater = cell(row, rater_);
    const auto [place, new_rater] = ratings_.try_emplace(sample.id + '\0' + rater, row.line);
    if (!new_rater) {
      return problem(row, sample.id, rater_, fmt::format("two labels by annotator '{}', the first on line {}", rater, place->second));
    }
    sample.annotators.push_back(label);
    metrics::JudgedSample read = sample;
    read.votes = {};
    add_votes(row, read);
    if (fresh) {
      sample.votes = read.votes;
      return;
    }
    const auto before = sample.votes.unpacked(), now = read.votes.unpacked();
    for (std::size_t i = 0; i < now.size(); ++i) {
      const auto &a = before[i].verdict, &b = now[i].verdict;
      if (a.status != b.status || a.choice != b.choice || a.value != b.value) {
        return problem(row, sample.id, std::nullopt, "the verdict differs from that of the item's other rows");
      }
    }
  }

  void add_votes(const TableRow& row, metrics::JudgedSample& sample) {
    const auto shown = presentation(row, sample);
    const auto number = static_cast<std::uint32_t>(vote_names_.try_emplace(cell(row, vote_), vote_names_.size()).first->second);
    const std::size_t per_row = std::max<std::size_t>(1, verdicts_.size());
    const auto others = sample.votes.unpacked();
    for (std::size_t i = 0; i < per_row; ++i) {
      verdict::Vote vote;
      vote.presentation = shown;
      vote.vote = static_cast<std::uint32_t>(number * per_row + i);
      const bool there = std::any_of(others.begin(), others.end(), [&](const auto& other) {
        return other.vote == vote.vote && other.presentation == vote.presentation;
      });
      if (there) return problem(row, sample.id, vote_ ? vote_ : order_, "this vote is there twice");
      vote.verdict = scores_.empty() ? verdict_of(row, sample.id, verdicts_[i]) : scored_verdict(row, sample.id);
      if (protocol_ == Protocol::rank && vote.verdict.ok() && !sample.human.empty() && vote.verdict.choice.size() != sample.human.size()) {
        problem(row, sample.id, std::nullopt, fmt::format("the verdict ranks {} candidates, the human label {}", vote.verdict.choice.size(), sample.human.size()));
      }
      sample.votes.add(vote);
    }
  }

  void check_groups() {
    if (!group_) return;
    const bool some = std::any_of(out_.samples.begin(), out_.samples.end(), [](const auto& s) { return !s.group.empty(); });
    for (std::size_t i = 0; i < out_.samples.size() && some; ++i) {
      if (out_.samples[i].group.empty()) problem(table_.rows[out_.rows[i]], out_.samples[i].id, group_, "has no group, other items have one");
    }
  }

  void check_votes() {
    if (out_.samples.empty()) return;
    std::map<std::size_t, std::size_t> sizes;
    for (const auto& sample : out_.samples) ++sizes[sample.votes.size()];
    const auto usual = std::max_element(sizes.begin(), sizes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
    for (std::size_t i = 0; i < out_.samples.size(); ++i) {
      const auto& sample = out_.samples[i];
      if (sample.votes.size() != usual) {
        problem(table_.rows[out_.rows[i]], sample.id, std::nullopt,
                fmt::format("has {} votes, most items have {}; a vote without a verdict is a row with an empty verdict", sample.votes.size(), usual));
      }
    }
  }

  void take_majority(metrics::JudgedSample& sample) const {
    if (protocol_ != Protocol::score) {
      sample.human = majority(sample.annotators);
      return;
    }
    double sum = 0, count = 0;
    for (const auto& label : sample.annotators) {
      if (label.empty()) continue;
      sum += *finite_number(label);
      ++count;
    }
    if (count > 0) sample.human_score = sum / count;
  }

  void set_range() {
    if (protocol_ != Protocol::score) return;
    double low = 1e300, high = -1e300;
    for (const auto& sample : out_.samples) {
      for (const auto& value : {sample.human_score, sample.combined.ok() ? std::optional(sample.combined.value) : std::nullopt}) {
        if (!value) continue;
        low = std::min(low, std::floor(*value));
        high = std::max(high, std::ceil(*value));
      }
    }
    if (low > high) return;
    out_.rule.score_low = low;
    out_.rule.score_high = std::max(high, low + 1);
  }

  void describe() {
    const std::size_t votes = out_.samples.empty() ? 0 : out_.samples[0].votes.size();
    static const std::map<std::string, const char*> kPolicies = {{"exclude", "left out"}, {"wrong", "counted as wrong"}, {"tie", "counted as ties"}};
    const auto policy = kPolicies.find(columns_.on_unreadable);
    out_.rules = fmt::format("{} {} an item{}; missing verdicts are {}", votes, votes == 1 ? "verdict" : "verdicts",
                             order_ ? " in the orders given" : "", policy == kPolicies.end() ? columns_.on_unreadable : policy->second);
    if (rater_) out_.rules += protocol_ == Protocol::score ? "; the human score is the annotators' mean" : "; the human label is the annotators' majority, undecided items have none";
  }

  const Table& table_;
  const TableColumns& columns_;
  Protocol protocol_ = Protocol::pair;
  std::optional<std::size_t> id_, human_, group_, cluster_, vote_, order_, rater_;
  std::vector<std::size_t> verdicts_, annotators_, scores_, systems_;
  std::unordered_map<std::string, std::string> words_;
  std::unordered_map<std::string, std::size_t> places_, vote_names_;
  std::unordered_map<std::string, int> ratings_;  // (id, rater) -> line
  int problems_ = 0;
  std::string text_;
  JudgedTable out_;
};

}  // namespace

JudgedTable judge_table(const Table& table, const TableColumns& columns) { return TableJudge(table, columns).judge(); }

verdict::VoteRule vote_rule_named(const std::string& word, Protocol protocol) {
  if (word.empty() || word == "majority") {
    if (word == "majority" && protocol == Protocol::score) throw base::Error("--combine majority has no meaning for scores; use mean");
    return verdict::VoteRule::majority;  // of scores combine() takes the mean in any case
  }
  if (word != "mean") throw base::Error(fmt::format("--combine {}: give majority or mean", word));
  return protocol == Protocol::score ? verdict::VoteRule::majority : verdict::VoteRule::mean;
}

}  // namespace assize::app
