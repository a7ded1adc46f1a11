#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/identity.h"
#include "app/run_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "results/journal.h"
#include "results/results_reader.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

/// Prints one line a finding and remembers whether any was bad.
class Findings {
 public:
  void ok(const std::string& line) const { fmt::print("ok    {}\n", line); }
  void note(const std::string& line) const { fmt::print("note  {}\n", line); }
  void bad(const std::string& line) {
    ++bad_;
    fmt::print("BAD   {}\n", line);
  }
  int bad() const { return bad_; }

 private:
  int bad_ = 0;
};

/// What the journal says about one call.
struct Row {
  base::Hash128 asked;
  bool odd = false;  ///< a failed row without a reason, or the other way round
};

struct JournalRows {
  std::unordered_map<base::Hash128, Row> by_call;
  std::vector<results::DamagedStretch> damaged;
  std::string identity;
};

JournalRows check_journal(const fs::path& folder, Findings& findings) {
  JournalRows rows;
  const results::JournalSummary summary = results::scan_journal(folder, [&rows](results::Judgement&& judgement) {
    const bool failed = judgement.status == results::Status::failed;
    rows.by_call[base::digest(judgement.key)] = {judgement.asked, failed == judgement.error.empty()};
  });
  rows.identity = summary.identity;
  rows.damaged = summary.damaged;
  if (summary.torn_bytes > 0) {
    findings.note(fmt::format("journal: {} bytes of an unfinished record at its end, as a crash or a running process leaves them; "
                              "the next start cuts them off", summary.torn_bytes));
  }
  if (summary.duplicates > 0) findings.note(fmt::format("journal: {} judgements came twice; the first of each counts", summary.duplicates));
  const std::string text = fmt::format("journal: {} judgements in {} bytes, {} {}", summary.judgements, summary.bytes, summary.epoch,
                                       summary.epoch == 1 ? "start" : "starts");
  if (summary.damaged.empty()) {
    findings.ok(text + "; every frame is whole");
  } else {
    findings.note(text);
  }
  return rows;
}

struct CallCount {
  std::uint64_t wanted = 0, judged = 0;
};

/// Damaged bytes of the journal are a problem until what they held is judged again.
void check_damage(const std::vector<results::DamagedStretch>& damaged, const CallCount& count, Findings& findings) {
  const bool healed = count.judged > 0 && count.judged == count.wanted;
  for (const results::DamagedStretch& stretch : damaged) {
    const std::string where = fmt::format("{}: {} bytes from byte {} on hold no whole record; ", stretch.file.string(), stretch.bytes, stretch.offset);
    if (healed) {
      findings.note(where + "every call is judged without them");
    } else {
      findings.bad(where + "the same command as before judges what they held again");
    }
  }
}

bool judge_is_here(const Plan& plan) {
  return fs::exists(plan.job.judge.fake.empty() ? plan.job.judge.path : plan.job.judge.fake);
}

/// Every call of the job against its row: was it asked what the job asks now? Without the judge's files nobody knows
/// how it is asked; then calls are only counted.
CallCount check_calls(const Plan& plan, const JournalRows& rows, Findings& findings) {
  const bool can_ask = judge_is_here(plan);
  CallCount count;
  std::uint64_t changed = 0, odd = 0;
  std::string first_changed;
  ItemMaker maker(plan);
  for (const auto& suite : plan.suites) {
    for (const auto& sample : suite.samples) {
      base::CallKey last;
      base::Hash128 asked;
      for (const base::CallKey& key : call_keys(plan, suite, sample)) {
        ++count.wanted;
        const auto row = rows.by_call.find(base::digest(key));
        if (row == rows.by_call.end()) continue;
        ++count.judged;
        odd += row->second.odd;
        if (!can_ask) continue;
        if (last.presentation != key.presentation || last.criterion != key.criterion) {
          asked = maker.prompt(suite, sample, key).asked;
          last = key;
        }
        if (asked == row->second.asked) continue;
        if (changed++ == 0) first_changed = fmt::format("sample '{}' of suite '{}'", sample.id, suite.id);
      }
    }
  }
  if (changed > 0) {
    findings.bad(fmt::format("questions: {} calls were asked something else than the suites say now, the first is {}; put the suites back",
                             changed, first_changed));
  } else if (can_ask) {
    findings.ok(fmt::format("questions: text, pictures and prompt of {} calls have the hashes that were judged", count.judged));
  }
  if (odd > 0) findings.bad(fmt::format("journal: {} rows have a status that does not fit their error text", odd));
  if (const std::uint64_t others = rows.by_call.size() - count.judged; others > 0) {
    findings.note(fmt::format("journal: {} judgements are not asked for by the job as it is now (fewer votes or samples)", others));
  }
  return count;
}

void check_identity(const Plan& plan, const JournalRows& rows, Findings& findings) {
  if (rows.identity.empty()) return findings.note("judge: the journal is empty, so it names none");
  const fs::path judge = plan.job.judge.fake.empty() ? plan.job.judge.path : plan.job.judge.fake;
  if (!judge_is_here(plan)) {
    return findings.note(fmt::format("judge: {} is not here, so neither its hash nor those of the questions were checked", judge.string()));
  }
  if (identity_text(plan.job) == rows.identity) {
    findings.ok("judge: weights, sampling and arithmetic are those of the journal");
  } else {
    findings.bad(fmt::format("judge: {}, sampling or arithmetic differ from the journal's; assize run says in what", judge.string()));
  }
}

void check_manifest(const fs::path& folder, const Plan& plan, const JournalRows& rows, Findings& findings) {
  const auto manifest = nlohmann::json::parse(base::read_file(folder / "manifest.json"), nullptr, false);
  if (!manifest.is_object()) return findings.bad("manifest.json: is damaged; the same command as before writes it anew");
  std::map<std::string, std::string> hashes;
  const auto suites = manifest.value("suites", nlohmann::json::array());
  for (const auto& suite : suites) {
    if (suite.is_object()) hashes[suite.value("id", "")] = suite.value("hash", "");
  }
  bool good = true;
  for (const auto& suite : plan.suites) {
    if (hashes[suite.id] == base::to_hex(suite.hash)) continue;
    good = false;
    findings.bad(fmt::format("manifest.json: suite '{}' has changed since ({})", suite.id, suite.file.string()));
  }
  if (manifest.value("identity", "") != rows.identity && !rows.identity.empty()) {
    good = false;
    findings.bad("manifest.json: its identity is not the journal's; the same command as before writes it anew");
  }
  if (good) findings.ok("manifest.json: the suites have the hashes that it names");
}

void check_results(const fs::path& folder, const CallCount& count, Findings& findings) {
  const bool done = fs::exists(folder / "DONE");
  if (done && count.judged < count.wanted) {
    findings.bad(fmt::format("DONE: is there, but {} of {} calls have no judgement; run the same command again", count.wanted - count.judged,
                             count.wanted));
  }
  if (!fs::exists(folder / "results.h5")) {
    if (done) findings.bad("results.h5: is missing; assize report makes it from the journal");
    return;
  }
  const results::ResultsReader reader(folder / "results.h5");
  const std::string digest = base::to_hex(reader.digest());  // reads every block, so every checksum of it
  const auto rows = static_cast<std::uint64_t>(reader.rows("judgements"));
  if (reader.complete() && rows == count.judged) {
    findings.ok(fmt::format("results.h5: complete, {} judgements, digest {}", rows, digest));
  } else if (done) {
    findings.bad(fmt::format("results.h5: has {} judgements, the journal {}; assize report makes it anew", rows, count.judged));
  } else {
    findings.note(fmt::format("results.h5: {} judgements, older than the journal or unfinished", rows));
  }
}

/// Runs one check; what it throws is a finding.
template <class Check>
void guarded(Findings& findings, const Check& check) {
  try {
    check();
  } catch (const base::Error& error) {
    findings.bad(error.what());
  }
}

}  // namespace

int verify(const std::string& run_folder) {
  const fs::path folder = run_folder;
  require_run_folder(folder);
  Findings findings;
  JournalRows rows;
  CallCount count;
  bool readable = false;
  guarded(findings, [&] {
    rows = check_journal(folder, findings);
    readable = true;
  });
  guarded(findings, [&] {
    if (!readable) return;
    Plan plan = stored_plan(folder);
    guarded(findings, [&] { check_identity(plan, rows, findings); });
    guarded(findings, [&] { check_manifest(folder, plan, rows, findings); });
    guarded(findings, [&] {
      if (judge_is_here(plan)) plan.chat = chat_style(plan.job.judge);
      count = check_calls(plan, rows, findings);
    });
    guarded(findings, [&] { check_results(folder, count, findings); });
  });
  check_damage(rows.damaged, count, findings);
  if (findings.bad() > 0) {
    fmt::print("{} {} found in {}\n", findings.bad(), findings.bad() == 1 ? "problem" : "problems", run_folder);
    return 1;
  }
  fmt::print("{} is whole: {} of {} calls judged\n", run_folder, count.judged, count.wanted);
  return 0;
}

}  // namespace assize::app
