#include "results/schema.h"

#include <algorithm>
#include <cstring>

namespace assize::results {

namespace {

using enum ColumnType;

constexpr Column kSchema[] = {
    {"samples", "suite", text, "suite id"},
    {"samples", "id", text, "sample id, unique in its suite"},
    {"samples", "group", text, "sub-dataset or system the sample belongs to; may be empty"},
    {"samples", "cluster", text, "samples that share it are drawn together for intervals"},
    {"samples", "question", text, "what the candidates answer"},
    {"samples", "human_choice", text, "choice of the human label: A, B, tie, ...; empty if none"},
    {"samples", "human_value", f64, "number of the human label; NaN if none"},
    {"samples", "status", u8, "verdict over all calls: 0 ok, 1 unreadable, 2 truncated, 3 failed"},
    {"samples", "choice", text, "choice over all calls, in candidate order"},
    {"samples", "value", f64, "mean value of the counted votes"},
    {"samples", "scores", ragged_f64, "mean score of each candidate; empty where the answers have none"},
    {"samples", "votes", u32, "votes that count"},
    {"samples", "unreadable", u32, "votes that were unreadable, truncated or failed"},
    {"samples", "agreement", f64, "share of the counted votes that say the choice"},
    {"samples", "orders", u8,
     "both orders: 0 not tried, 1 consistent, 2 prefers the first shown, 3 prefers the second, 4 inconsistent"},

    {"candidates", "sample", i64, "row of /samples"},
    {"candidates", "index", u16, "0-based place among the candidates of the sample"},
    {"candidates", "text", text, "the candidate"},
    {"candidates", "source", text, "who wrote it; may be empty"},
    {"candidates", "reward", f64, "unlabelled data: mean score, or share of comparisons won; NaN if unreadable"},
    {"candidates", "rank", u32, "unlabelled data: 1 is the best, equal rewards share a rank; 0 without a reward"},

    {"pairs", "sample", i64, "row of /samples"},
    {"pairs", "chosen", u16, "candidate with the higher reward"},
    {"pairs", "rejected", u16, "candidate with the lower reward"},
    {"pairs", "score_chosen", f64, "its reward"},
    {"pairs", "score_rejected", f64, "its reward"},
    {"pairs", "margin", f64, "score_chosen minus score_rejected"},
    {"pairs", "agreement", f64, "share of the readable votes showing both that prefer the chosen one; NaN if none shows both"},
    {"pairs", "orders", u8, "votes showing both, as /samples/orders"},

    {"judgements", "sample", i64, "row of /samples"},
    {"judgements", "judge", text, "judge id"},
    {"judgements", "criterion", text, "criterion asked for; empty where there is one only"},
    {"judgements", "presentation", text, "candidate indices in the order shown, as 0-1"},
    {"judgements", "vote", u32, "0-based number of the vote"},
    {"judgements", "asked_low", u64, "content hash of what was asked, low half"},
    {"judgements", "asked_high", u64, "content hash of what was asked, high half"},
    {"judgements", "status", u8, "generation: 0 ended by itself, 1 truncated, 2 failed"},
    {"judgements", "error", text, "why the call failed; empty otherwise"},
    {"judgements", "text", text, "what the judge wrote, UTF-8"},
    {"judgements", "token_ids", ragged_i32, "generated token ids"},
    {"judgements", "sum_logprob", f64, "sum of the log-probabilities of the generated tokens"},
    {"judgements", "watch_logprobs", ragged_f32, "log-probabilities of the labels (likelihood reading), or of whole numbers after <answer>"},
    {"judgements", "prompt_tokens", i32, "tokens of the prompt"},
    {"judgements", "verdict_status", u8, "0 ok, 1 unreadable, 2 truncated, 3 failed"},
    {"judgements", "verdict_reason", text, "why the text could not be read; empty if ok"},
    {"judgements", "verdict_choice", text, "choice among the candidates shown, in candidate order"},
    {"judgements", "verdict_value", f64, "score, or score of A minus score of B, or +1, 0, -1"},
    {"judgements", "verdict_scores", ragged_f64, "one score per candidate shown, candidate order; may be empty"},
    {"judgements", "expected_scores", ragged_f64, "their expectations from the probabilities of the whole numbers; may be empty"},

    {"metrics", "suite", text, "suite id"},
    {"metrics", "group", text, "group of samples; empty for the whole suite"},
    {"metrics", "name", text, "metric"},
    {"metrics", "rule", text, "how ties and unreadable verdicts count"},
    {"metrics", "value", f64, "estimate"},
    {"metrics", "low", f64, "lower end of the interval; NaN if none"},
    {"metrics", "high", f64, "upper end of the interval; NaN if none"},
    {"metrics", "n", i64, "samples in it"},

    {"timing", "prefilled_tokens", i32, "prompt tokens computed for this call (row of /judgements)"},
    {"timing", "group", i32, "worker group that judged it"},
    {"timing", "seconds", f64, "from lease to finish"},

    {"throughput", "run", text, "run of a scaling series; empty where there is one only"},
    {"throughput", "group", i32, "worker group; -1: all of them"},
    {"throughput", "phase", text, "whole, warm-up, steady or tail"},
    {"throughput", "name", text, "figure; metrics.json says what it means"},
    {"throughput", "unit", text, "unit; empty for shares and counts"},
    {"throughput", "value", f64, "value; NaN where it is not defined"},
};

constexpr const char* kTables[] = {"samples", "candidates", "pairs", "judgements", "metrics", "timing", "throughput"};

}  // namespace

std::span<const Column> schema() { return kSchema; }

std::span<const char* const> tables() { return kTables; }

std::span<const Column> columns_of(const char* table) {
  const auto same = [&](const Column& column) { return std::strcmp(column.table, table) == 0; };
  const Column* begin = std::find_if(std::begin(kSchema), std::end(kSchema), same);
  const Column* end = std::find_if_not(begin, std::end(kSchema), same);
  return {begin, end};
}

const char* name(ColumnType type) {
  switch (type) {
    case u8: return "u8";
    case u16: return "u16";
    case u32: return "u32";
    case u64: return "u64";
    case i32: return "i32";
    case i64: return "i64";
    case f64: return "f64";
    case text: return "text";
    case ragged_i32: return "ragged i32";
    case ragged_f32: return "ragged f32";
    case ragged_f64: return "ragged f64";
  }
  return "";
}

}  // namespace assize::results
