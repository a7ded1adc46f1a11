#pragma once

#include <fmt/format.h>

#include <random>
#include <string>

#include "report/report.h"

// A run with three suites: a fair pair judge with both orders and five votes, a score judge, a judge at
// chance that is often unreadable. Texts carry what must never become markup.
namespace fixture {

using namespace assize;

inline const std::string kAttack =
    "<script>document.title='attacked'</script><img src=x onerror=\"document.title='attacked'\"> & "
    "\"quoted\" "
    "</div></details>";

inline verdict::Verdict pair_verdict(const std::string& choice, double a, double b) {
  verdict::Verdict v;
  v.status = verdict::VerdictStatus::ok;
  v.choice = choice;
  v.scores = {a, b};
  v.value = a - b;
  return v;
}

inline std::vector<metrics::JudgedSample> pair_samples(int count, int votes, double skill, double unreadable,
                                                       double lean, unsigned seed) {
  std::mt19937 random(seed);
  const auto chance = [&](double p) { return static_cast<double>(random() >> 5) * 0x1p-27 < p; };
  const char* groups[] = {"arithmetic", "spelling", "counting", "following an instruction", "stated facts"};
  std::vector<metrics::JudgedSample> samples;
  for (int i = 0; i < count; ++i) {
    metrics::JudgedSample s;
    s.id = fmt::format("item-{:03}", i);
    s.group = groups[i % 5];
    s.human = chance(0.08) ? "tie" : chance(0.5) ? "A" : "B";
    const std::string other = s.human == "A" ? "B" : "A";
    const double own_skill = skill * (0.8 + 0.1 * (i % 5));
    for (int order = 0; order < 2; ++order) {
      for (int v = 0; v < votes; ++v) {
        verdict::Vote vote;
        vote.presentation = order ? std::vector<std::uint16_t>{1, 0} : std::vector<std::uint16_t>{0, 1};
        vote.vote = static_cast<std::uint32_t>(v);
        std::string choice = chance(own_skill) ? (s.human == "tie" ? "tie" : s.human)
                             : chance(0.15)    ? "tie"
                                               : other;
        if (chance(lean)) choice = order ? "B" : "A";
        vote.verdict = pair_verdict(choice, choice == "A" ? 8 : 6, choice == "B" ? 8 : 6);
        if (chance(unreadable)) {
          vote.verdict = verdict::no_verdict(
              chance(0.4) ? verdict::VerdictStatus::truncated : verdict::VerdictStatus::unreadable,
              "1 answer instead of 2");
        }
        s.votes.add(vote);
      }
    }
    s.combined = verdict::combine(s.votes.unpacked(), verdict::Protocol::pair, {});
    samples.push_back(s);
  }
  return samples;
}

inline std::vector<metrics::JudgedSample> score_samples(int count, unsigned seed) {
  std::mt19937 random(seed);
  const auto u = [&] { return static_cast<double>(random() >> 5) * 0x1p-27; };
  std::vector<metrics::JudgedSample> samples;
  for (int i = 0; i < count; ++i) {
    metrics::JudgedSample s;
    s.id = fmt::format("clip-{:03}", i);
    s.group = fmt::format("system {:02}", i % 14);
    const double quality = 1.5 + 0.2 * (i % 14) + 0.8 * u();
    s.human_score = std::min(5.0, quality + 0.5 * (u() - 0.5));
    for (std::uint32_t v = 0; v < 3; ++v) {
      verdict::Vote vote{{0}, v, {}};
      vote.verdict.status = verdict::VerdictStatus::ok;
      vote.verdict.value = std::clamp(std::round(2 * (quality + 2.2 * (u() - 0.4))) / 2, 1.0, 5.0);
      vote.verdict.scores = {vote.verdict.value};
      s.votes.add(vote);
    }
    s.combined = verdict::combine(s.votes.unpacked(), verdict::Protocol::score, {});
    samples.push_back(s);
  }
  return samples;
}

inline report::SuiteReport suite(const std::string& id, const std::vector<metrics::JudgedSample>& samples,
                                 verdict::Protocol protocol) {
  metrics::AgreementRule rule;
  rule.suite = id;
  rule.protocol = protocol;
  rule.bootstrap.resamples = 500;
  if (protocol == verdict::Protocol::score) {
    rule.score_low = 1;
    rule.score_high = 5;
  }
  auto out = report::summarise(samples, rule);
  out.prompt = "plain-pair-1";
  out.profile = "strict";
  out.rules = "both orders, unreadable votes left out";
  return out;
}

/// The first `count` telling items of samples of the suite "plain".
inline std::vector<report::Item> items(const std::vector<metrics::JudgedSample>& fair, std::size_t count) {
  std::vector<report::Item> items;
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < fair.size(); ++i) sizes.push_back(static_cast<std::int64_t>(i * 37 % 101));
  for (const auto& telling : report::telling_items(fair, verdict::Protocol::pair, sizes)) {
    const auto& sample = fair[telling.sample];
    report::Item item;
    item.suite = "plain";
    item.sample_id = sample.id;
    item.group = sample.group;
    item.question = "How many letters r are in the word *strawberry*?\nGive the number alone.";
    item.candidates = {{"There are three.", {}}, {"2 " + kAttack, {}}};
    item.human = sample.human;
    item.verdict = sample.combined.ok() ? sample.combined.choice : "no verdict";
    item.reasons = telling.reasons;
    for (const auto& vote : sample.votes.unpacked()) {
      if (vote.vote > 0) continue;
      report::ItemCall call;
      call.presentation = vote.presentation;
      call.vote = vote.vote;
      call.verdict = vote.verdict;
      call.text =
          "<think>The word is s-t-r-a-w-b-e-r-r-y. I count r at the third, eighth and ninth place, so three. "
          "Assistant 1 says three; "
          "assistant 2 says two and then writes " +
          kAttack + "</think>\n<answer>8</answer><answer>6</answer>";
      call.output_tokens = 180;
      item.calls.push_back(call);
    }
    items.push_back(item);
    if (items.size() == count) break;
  }
  return items;
}

inline report::ItemList list_of(std::vector<report::Item> items) {
  const std::size_t count = items.size();
  return {count, [items = std::move(items)](std::size_t i, report::Pictures) { return items[i]; }};
}

inline report::ReportData data() {
  report::ReportData d;
  d.run = "flex-vl-plain";
  d.judge = "flex-vl-7b (Qwen2_5_VLForConditionalGeneration, bf16)";
  d.version = "0.1.0";
  d.made = "2026-11-24 18:40 UTC";
  d.state = "complete";
  d.job_text =
      "kind: evaluate\njudge: configs/judges/flex-vl-7b.yaml\nsuites: [configs/suites/plain.yaml]\njudging: "
      "{votes: 5, orders: both, seed: 7}\n";
  const auto fair = pair_samples(200, 5, 0.75, 0.02, 0.05, 3), poor = pair_samples(60, 1, 0.4, 0.62, 0.3, 4);
  const auto scores = score_samples(280, 5);
  d.suites = {suite("plain", fair, verdict::Protocol::pair),
              suite("speech quality", scores, verdict::Protocol::score),
              suite("plain, small judge", poor, verdict::Protocol::pair)};
  d.cost = {812.4, 1590.2, 12, 1845200, 402300, 934112, 2, "2 ranks, Intel Xeon, AVX-512, tensor parallel 1"};

  d.items = list_of(items(fair, 25));
  return d;
}

}  // namespace fixture
