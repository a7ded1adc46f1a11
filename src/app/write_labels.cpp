#include "app/write_labels.h"

#include <limits>
#include <map>
#include <string_view>

#include <nlohmann/json.hpp>

#include "app/read_calls.h"
#include "base/error.h"
#include "base/file.h"
#include "results/results_writer.h"
#include "verdict/rewards.h"

namespace assize::app {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// The objects of a JSONL file by 1-based line, where `wanted` asks for the line.
std::map<int, Json> read_rows(const fs::path& file, const std::map<int, std::size_t>& wanted) {
  const std::string contents = base::read_file(file, std::uintmax_t{64} << 30);
  std::map<int, Json> rows;
  std::string_view rest = contents;
  for (int line = 1; !rest.empty(); ++line) {
    const auto end = rest.find('\n');
    if (wanted.contains(line)) rows[line] = Json::parse(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return rows;
}

std::string to_line(const Json& row) { return row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

const char* name_of(verdict::OrderAgreement orders) {
  switch (orders) {
    case verdict::OrderAgreement::not_tried: return nullptr;
    case verdict::OrderAgreement::consistent: return "consistent";
    case verdict::OrderAgreement::prefers_first: return "prefers_first";
    case verdict::OrderAgreement::prefers_second: return "prefers_second";
    case verdict::OrderAgreement::inconsistent: break;
  }
  return "inconsistent";
}

Json to_json(const std::vector<std::optional<double>>& rewards) {
  Json values = Json::array();
  for (const auto& reward : rewards) values.push_back(or_null(reward));
  return values;
}

/// Rewards by each criterion of a rubric on its own.
Json by_criterion(const suite::PromptTemplate& prompt, const ReadCalls& calls, int candidates) {
  Json out = Json::object();
  for (const auto& [criterion, text] : prompt.criteria) {
    std::vector<verdict::Vote> votes;
    for (std::size_t i = 0; i < calls.rows.size(); ++i) {
      if (calls.rows[i].judgement.key.criterion == criterion) votes.push_back(calls.votes[i]);
    }
    out[criterion] = to_json(verdict::reward_candidates(votes, candidates).rewards);
  }
  return out;
}

/// The row of labels.jsonl: the user's fields and ours behind them.
Json label_row(Json row, const verdict::Rewards& rewards, std::uint64_t missing) {
  Json ranks = Json::array();
  for (const int rank : rewards.ranks) ranks.push_back(rank ? Json(rank) : Json(nullptr));
  row["rewards"] = to_json(rewards.rewards);
  row["ranks"] = std::move(ranks);
  row["best"] = or_null(rewards.best);
  row["votes"] = rewards.votes;
  row["unreadable"] = rewards.unreadable;
  row["missing"] = missing;
  return row;
}

/// The row of pairs.jsonl: TRL's columns, then ours, then the user's other fields.
Json pair_row(const Json& input, const suite::Sample& sample, const verdict::Preference& pair) {
  Json row;
  row["id"] = input.at("id");
  row["prompt"] = sample.question;
  if (input.contains("images")) row["images"] = input["images"];
  row["chosen"] = sample.candidates[pair.chosen].text;
  row["rejected"] = sample.candidates[pair.rejected].text;
  row["score_chosen"] = pair.score_chosen;
  row["score_rejected"] = pair.score_rejected;
  row["margin"] = pair.margin();
  row["agreement"] = or_null(pair.agreement);
  row["orders"] = name_of(pair.orders) ? Json(name_of(pair.orders)) : Json(nullptr);
  row["chosen_index"] = pair.chosen;
  row["rejected_index"] = pair.rejected;
  const auto add_images = [&](const char* key, std::size_t candidate) {
    const Json& entry = input.at("candidates").at(candidate);
    if (entry.is_object() && entry.contains("images")) row[key] = entry["images"];
  };
  add_images("chosen_images", pair.chosen);
  add_images("rejected_images", pair.rejected);
  for (const auto& [key, value] : input.items()) {
    if (key != "question" && key != "candidates" && !row.contains(key)) row[key] = value;
  }
  return row;
}

/// What the labels of a run amount to.
struct Yield {
  double reward_sum = 0;
  std::int64_t candidates = 0, rewarded = 0, prompts = 0, votes = 0, unreadable = 0;
  std::int64_t pairs = 0, ties = 0, below_margin = 0, orders_differ = 0, compared_twice = 0, consistent = 0;

  void add(const verdict::Rewards& rewards, const verdict::Preferences& made) {
    ++prompts;
    for (const auto& reward : rewards.rewards) {
      ++candidates;
      if (!reward) continue;
      ++rewarded;
      reward_sum += *reward;
    }
    votes += rewards.votes + rewards.unreadable;
    unreadable += rewards.unreadable;
    pairs += static_cast<std::int64_t>(made.pairs.size());
    ties += made.ties;
    below_margin += made.below_margin;
    orders_differ += made.orders_differ;
    for (const auto& pair : made.pairs) {
      compared_twice += pair.orders != verdict::OrderAgreement::not_tried;
      consistent += pair.orders == verdict::OrderAgreement::consistent;
    }
  }

  void write(const std::string& id, results::ResultsWriter& writer) const {
    const auto put = [&](const char* name, const char* rule, double value, std::int64_t n) {
      writer.add(results::MetricRow{id, "", name, rule, n ? value : kNone, kNone, kNone, n});
    };
    const auto share = [](std::int64_t part, std::int64_t of) { return of ? static_cast<double>(part) / static_cast<double>(of) : kNone; };
    put("mean reward", "candidates with a reward", rewarded ? reward_sum / static_cast<double>(rewarded) : kNone, rewarded);
    put("rewarded", "share of the candidates", share(rewarded, candidates), candidates);
    put("unreadable", "share of the votes", share(unreadable, votes), votes);
    put("pairs", "number written", static_cast<double>(pairs), prompts);
    put("pairs dropped: equal rewards", "number", static_cast<double>(ties), prompts);
    put("pairs dropped: below the margin", "number", static_cast<double>(below_margin), prompts);
    put("pairs dropped: not won in both orders", "number", static_cast<double>(orders_differ), prompts);
    put("same choice in both orders", "share of the pairs compared in both", share(consistent, compared_twice), compared_twice);
  }
};

verdict::PreferenceRule rule_of(const job::PairsSpec& pairs) {
  return {pairs.all ? verdict::PairChoice::all : verdict::PairChoice::best_worst, pairs.margin, pairs.both_orders_must_agree};
}

}  // namespace

Assessment write_labels(const Plan& plan, const fs::path& run_folder, const fs::path& target,
                        const std::function<void(double)>& progress) {
  const suite::Suite& data = plan.suites.front();
  const results::JournalIndex index(run_folder);
  std::map<int, std::size_t> order;  // line -> sample: the files keep the order of the data
  for (std::size_t i = 0; i < data.samples.size(); ++i) order[data.samples[i].line] = i;
  const std::map<int, Json> rows = read_rows(data.file, order);
  results::ResultsWriter writer(target / "results.h5", file_info(plan, index));
  Assessment assessment;
  assessment.product = "labels";
  assessment.look_at = target / "labels.jsonl";
  Yield yield;
  std::vector<std::pair<std::string, std::string>> lines(data.samples.size());  // labels, pairs
  for (std::size_t i = 0; i < data.samples.size(); ++i) {
    const suite::Sample& sample = data.samples[i];
    const std::int64_t sample_row = writer.samples();
    const ReadCalls calls = read_calls(plan, data, sample, index, sample_row);
    const int candidates = static_cast<int>(sample.candidates.size());
    const verdict::Rewards rewards = verdict::reward_candidates(calls.votes, candidates);
    const verdict::Preferences made = verdict::preferences_of(rewards, calls.votes, rule_of(plan.job.pairs));
    assessment.wanted += calls.wanted;
    assessment.judged += calls.rows.size();
    assessment.failed += calls.failed;
    yield.add(rewards, made);

    results::SampleRow out;
    out.suite = data.id;
    out.id = sample.id;
    out.question = sample.question;
    out.human_value = kNone;
    out.status = rewards.votes ? verdict::VerdictStatus::ok
                 : calls.votes.empty() ? verdict::VerdictStatus::failed : calls.votes.front().verdict.status;
    out.value = rewards.best ? *rewards.rewards[*rewards.best] : kNone;
    for (const auto& reward : rewards.rewards) out.scores.push_back(reward.value_or(kNone));
    out.votes = static_cast<std::uint32_t>(rewards.votes);
    out.unreadable = static_cast<std::uint32_t>(rewards.unreadable);
    writer.add(out);
    for (std::size_t c = 0; c < sample.candidates.size(); ++c) {
      writer.add(results::CandidateRow{sample_row, static_cast<std::uint16_t>(c), sample.candidates[c].text, "",
                                       rewards.rewards[c].value_or(kNone), static_cast<std::uint32_t>(rewards.ranks[c])});
    }
    const Json& input = rows.at(sample.line);
    Json label = label_row(input, rewards, calls.wanted - calls.rows.size());
    if (!data.prompt.criteria.empty()) label["criteria"] = by_criterion(data.prompt, calls, candidates);
    lines[i].first = to_line(label);
    for (const auto& pair : made.pairs) {
      writer.add(results::PairRow{sample_row, static_cast<std::uint16_t>(pair.chosen), static_cast<std::uint16_t>(pair.rejected),
                                  pair.score_chosen, pair.score_rejected, pair.margin(), pair.agreement.value_or(kNone),
                                  static_cast<std::uint8_t>(pair.orders)});
      lines[i].second += to_line(pair_row(input, sample, pair));
    }
    for (const auto& row : calls.rows) writer.add(row);
    if (i % 1024 == 0) progress(static_cast<double>(i) / static_cast<double>(data.samples.size()));
  }
  yield.write(data.id, writer);
  writer.finish();
  std::string labels, pairs;
  for (const auto& [line, sample] : order) {
    labels += lines[sample].first;
    pairs += lines[sample].second;
  }
  base::write_file_atomically(target / "labels.jsonl", labels);
  base::write_file_atomically(target / "pairs.jsonl", pairs);
  progress(1);
  return assessment;
}

}  // namespace assize::app
