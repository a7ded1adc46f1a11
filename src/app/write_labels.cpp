#include "app/write_labels.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/read_calls.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/lines.h"
#include "results/results_writer.h"
#include "verdict/rewards.h"

namespace assize::app {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What is said of a sample beside its row of the data.
struct Label {
  verdict::Rewards rewards;
  std::vector<std::vector<std::optional<double>>> by_criterion;  ///< rewards by each criterion of a rubric on its own
  std::vector<verdict::Preference> pairs;
  std::uint64_t missing = 0;  ///< calls without a judgement
};

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

std::vector<std::vector<std::optional<double>>> by_criterion(const suite::PromptTemplate& prompt, const ReadCalls& calls, int candidates) {
  std::vector<std::vector<std::optional<double>>> out;
  for (const auto& [criterion, text] : prompt.criteria) {
    std::vector<verdict::Vote> votes;
    for (std::size_t i = 0; i < calls.rows.size(); ++i) {
      if (calls.rows[i].judgement.key.criterion == criterion) votes.push_back(calls.votes[i]);
    }
    out.push_back(verdict::reward_candidates(votes, candidates).rewards);
  }
  return out;
}

/// The row of labels.jsonl: the user's fields and ours behind them.
Json label_row(Json row, const Label& label, const suite::PromptTemplate& prompt) {
  const verdict::Rewards& rewards = label.rewards;
  Json ranks = Json::array();
  for (const int rank : rewards.ranks) ranks.push_back(rank ? Json(rank) : Json(nullptr));
  row["rewards"] = to_json(rewards.rewards);
  row["ranks"] = std::move(ranks);
  row["best"] = or_null(rewards.best);
  row["votes"] = rewards.votes;
  row["unreadable"] = rewards.unreadable;
  row["missing"] = label.missing;
  if (!prompt.criteria.empty()) {
    Json criteria = Json::object();
    for (std::size_t i = 0; i < prompt.criteria.size(); ++i) criteria[prompt.criteria[i].first] = to_json(label.by_criterion[i]);
    row["criteria"] = std::move(criteria);
  }
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

/// labels.jsonl and pairs.jsonl, in the order of the data, whose rows are read once more. `labels`: of each sample.
void write_rows(const suite::Suite& data, const std::vector<Label>& labels, const fs::path& target) {
  std::vector<std::uint32_t> order(labels.size());  // samples by line
  std::iota(order.begin(), order.end(), std::uint32_t{0});
  const auto line_of = [&](std::uint32_t place) { return data.samples[place].line; };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return line_of(a) < line_of(b); });
  base::AtomicFile rows(target / "labels.jsonl"), pairs(target / "pairs.jsonl");
  auto next = order.begin();
  const auto add = [&](std::uint64_t number, const std::string& text) {
    if (next == order.end() || number != static_cast<std::uint64_t>(line_of(*next))) return;
    const suite::Sample& sample = data.samples[*next];
    const Label& label = labels[*next++];
    const Json input = Json::parse(text);
    rows.write(to_line(label_row(input, label, data.prompt)));
    for (const auto& pair : label.pairs) pairs.write(to_line(pair_row(input, sample, pair)));
  };
  const auto changed = [&] {
    throw base::Error(fmt::format("{}: changed while its labels were written; put it back, then assize report makes them", data.file.string()),
                      base::ErrorKind::failed);
  };
  try {
    base::for_each_line(data.file, add);
  } catch (const Json::exception&) {
    changed();
  }
  if (next != order.end()) changed();
  rows.finish();
  pairs.finish();
}

verdict::PreferenceRule rule_of(const job::PairsSpec& pairs) {
  return {pairs.all ? verdict::PairChoice::all : verdict::PairChoice::best_worst, pairs.margin, pairs.both_orders_must_agree};
}

}  // namespace

Assessment write_labels(const Plan& plan, const fs::path& run_folder, const fs::path& target,
                        const std::function<void(double)>& progress) {
  const suite::Suite& data = plan.suites.front();
  const results::JournalIndex index(run_folder);
  const CallReader reader(plan, index);
  results::ResultsWriter writer(target / "results.h5", file_info(plan, index.summary()));
  Assessment assessment;
  assessment.product = "labels";
  assessment.look_at = target / "labels.jsonl";
  Yield yield;
  std::vector<Label> labels;
  labels.reserve(data.samples.size());
  for (std::size_t i = 0; i < data.samples.size(); ++i) {
    const suite::Sample& sample = data.samples[i];
    const std::int64_t sample_row = writer.samples();
    const ReadCalls calls = reader.read(data, sample, sample_row);
    const int candidates = static_cast<int>(sample.candidates.size());
    verdict::Rewards rewards = verdict::reward_candidates(calls.votes, candidates);
    verdict::Preferences made = verdict::preferences_of(rewards, calls.votes, rule_of(plan.job.pairs));
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
    for (const auto& pair : made.pairs) {
      writer.add(results::PairRow{sample_row, static_cast<std::uint16_t>(pair.chosen), static_cast<std::uint16_t>(pair.rejected),
                                  pair.score_chosen, pair.score_rejected, pair.margin(), pair.agreement.value_or(kNone),
                                  static_cast<std::uint8_t>(pair.orders)});
    }
    for (const auto& row : calls.rows) writer.add(row);
    labels.push_back({std::move(rewards), by_criterion(data.prompt, calls, candidates), std::move(made.pairs), calls.wanted - calls.rows.size()});
    if (i % 1024 == 0) progress(static_cast<double>(i) / static_cast<double>(data.samples.size()));
  }
  yield.write(data.id, writer);
  if (assessment.complete()) writer.mark_complete();
  writer.finish();
  write_rows(data, labels, target);
  progress(1);
  return assessment;
}

}  // namespace assize::app
