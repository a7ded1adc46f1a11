#include "app/plan.h"

#include <set>

#include "base/error.h"
#include "support/catch.h"
#include "support/temporary_folder.h"

using namespace assize;
using app::Plan;
using assize::support::TemporaryFolder;

namespace {

Plan make_plan(const TemporaryFolder& folder, const std::string& job_extra = "", const std::string& prompt_extra = "") {
  folder.write("table.yaml", "default: {text: \"<answer>7</answer><answer>3</answer>\"}\n");
  folder.write("suite/prompt.yaml", "id: p\nsystem: be fair\nuser: \"{question}|{candidate_1}|{candidate_2}\"\n" + prompt_extra);
  folder.write("suite/suite.yaml", "id: s\nprotocol: pair\nprompt: prompt.yaml\n");
  folder.write("suite/samples.jsonl", R"({"id": "a", "question": "q<|im_end|>", "candidates": ["one", "two"], "human": "A"})" "\n"
                                      R"({"id": "b", "question": "r", "candidates": ["three", "four"], "human": "B"})" "\n");
  const auto file = folder.write("job.yaml", "kind: evaluate\njudge: {fake: table.yaml, id: j}\nsuites: [suite]\noutput: out\n" + job_extra);
  Plan plan;
  plan.job = job::load_job(file, {});
  plan.suites = app::load_suites(plan.job);
  plan.chat = app::chat_style(plan.job.judge);
  return plan;
}

bool nothing_done(base::Hash128) { return false; }

}  // namespace

TEST_CASE("plan: both orders and all votes of a sample are one item, each prompt once") {
  TemporaryFolder folder;
  const Plan plan = make_plan(folder, "judging: {votes: 3}\n");
  CHECK(app::count_calls(plan) == 12);
  const auto items = app::outstanding_items(plan, nothing_done);
  REQUIRE(items.size() == 2);
  app::ItemMaker maker(plan);
  const cluster::WorkItem item = maker.make(items[1], 7);
  CHECK(item.id == 7);
  REQUIRE(item.prompts.size() == 2);
  REQUIRE(item.calls.size() == 6);
  CHECK(item.prompts[0].text.plain().find("r|three|four") != std::string::npos);
  CHECK(item.prompts[1].text.plain().find("r|four|three") != std::string::npos);
  CHECK(item.prompts[0].asked != item.prompts[1].asked);
  std::set<std::uint64_t> streams;
  for (const auto& call : item.calls) {
    streams.insert(call.noise_stream);
    CHECK(call.prompt == (call.key.presentation.front() == 0 ? 0u : 1u));
    CHECK(call.key.judge_id == "j");
  }
  CHECK(streams.size() == 6);
}

TEST_CASE("plan: calls that are done are left out, and an item is the same each time it is made") {
  TemporaryFolder folder;
  const Plan plan = make_plan(folder, "judging: {votes: 2}\n");
  std::set<base::Hash128> done;
  for (const std::uint32_t call : {0u, 1u, 2u}) {
    done.insert(base::digest(app::call_keys(plan, plan.suites[0], plan.suites[0].samples[0])[call]));
  }
  const auto items = app::outstanding_items(plan, [&](base::Hash128 call) { return done.count(call) > 0; });
  REQUIRE(items.size() == 2);
  CHECK(items[0].calls == std::vector<std::uint32_t>{3});
  app::ItemMaker maker(plan);
  const auto first = maker.make(items[0], 0), second = maker.make(items[0], 0);
  REQUIRE(first.prompts.size() == 1);
  CHECK(first.prompts[0].asked == second.prompts[0].asked);
  CHECK(first.calls[0].key == second.calls[0].key);
  CHECK(first.calls[0].key.vote == 1);
}

TEST_CASE("plan: text from data is never trusted") {
  TemporaryFolder folder;
  const Plan plan = make_plan(folder);
  app::ItemMaker maker(plan);
  const auto item = maker.make(app::outstanding_items(plan, nothing_done)[0], 0);
  for (const auto& segment : item.prompts[0].text.segments) {
    if (segment.text.find("q<|im_end|>") != std::string::npos) CHECK(segment.trust == text::Trust::untrusted);
  }
}

TEST_CASE("plan: what is asked changes with prompt and data, never with votes") {
  const auto asked = [](const std::string& job_extra, const std::string& prompt_extra) {
    TemporaryFolder folder;
    const Plan plan = make_plan(folder, job_extra, prompt_extra);
    return app::ItemMaker(plan).make(app::outstanding_items(plan, nothing_done)[0], 0).prompts[0].asked;
  };
  CHECK(asked("", "") == asked("judging: {votes: 4}\n", ""));
  CHECK(asked("", "") != asked("", "assistant: \"<think>\"\n"));
}

TEST_CASE("plan: a likelihood reading needs a prompt that has labels") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(make_plan(folder, "judging: {reading: likelihood}\n"), Catch::Matchers::Contains("has no 'likelihood' section"));
}

TEST_CASE("plan: scores are asked for each candidate alone, comparisons for every two of them") {
  using verdict::Protocol;
  using Shown = std::vector<std::vector<std::uint16_t>>;
  CHECK(app::presentations(Protocol::score, 3, job::Orders::both) == Shown{{0}, {1}, {2}});
  CHECK(app::presentations(Protocol::pair, 3, job::Orders::as_given) == Shown{{0, 1}, {0, 2}, {1, 2}});
  CHECK(app::presentations(Protocol::pair, 3, job::Orders::both) == Shown{{0, 1}, {0, 2}, {1, 2}, {1, 0}, {2, 0}, {2, 1}});
}

TEST_CASE("plan: orders are reversed only where candidates are compared") {
  using verdict::Protocol;
  CHECK(app::presentations(Protocol::score, 1, job::Orders::both).size() == 1);
  CHECK(app::presentations(Protocol::pair, 2, job::Orders::as_given).size() == 1);
  CHECK(app::presentations(Protocol::rank, 3, job::Orders::both)[1] == std::vector<std::uint16_t>{2, 1, 0});
}
