#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/assess.h"
#include "app/commands.h"
#include "app/run_folder.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "results/digest_set.h"
#include "results/journal.h"

namespace assize::app {

namespace fs = std::filesystem;

namespace {

/// One of the runs to be merged.
struct Shard {
  fs::path folder;
  job::JobSpec job;
  std::string identity;
  std::map<std::string, std::string> suites;  ///< id to content hash, of those that it has samples of
};

std::string describe(const base::CallKey& key) {
  return fmt::format("sample '{}' of suite '{}', candidates {}, vote {}", key.sample_id, key.suite_id,
                     base::presentation_text(key.presentation), key.vote);
}

/// What the merged job takes from its shards must be the same in all.
void refuse_difference(const Shard& first, const Shard& other) {
  std::string names;
  const auto compare = [&names](const char* name, bool equal) {
    if (!equal) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  };
  const job::JobSpec &a = first.job, &b = other.job;
  compare("kind", a.kind == b.kind);
  compare("data", std::tie(a.data.file, a.data.media, a.data.prompt, a.data.id, a.data.protocol) ==
                      std::tie(b.data.file, b.data.media, b.data.prompt, b.data.id, b.data.protocol));
  compare("suites", std::set(a.suites.begin(), a.suites.end()) == std::set(b.suites.begin(), b.suites.end()));
  compare("judging.votes", a.judging.votes == b.judging.votes);
  compare("judging.orders", a.judging.orders == b.judging.orders);
  compare("judging.seed", a.judging.seed == b.judging.seed);
  compare("judging.on_unreadable", a.judging.on_unreadable == b.judging.on_unreadable);
  compare("judging.parser", a.judging.parser == b.judging.parser);
  compare("limits.samples", a.limits.samples == b.limits.samples);
  compare("limits.shard (its COUNT)", a.limits.shards == b.limits.shards);
  for (const auto& [suite, hash] : other.suites) {
    const auto same = first.suites.find(suite);
    compare(("the contents of suite " + suite).c_str(), same == first.suites.end() || same->second == hash);
  }
  if (first.identity != other.identity) compare("judge, model or sampling", false);
  if (names.empty()) return;
  throw base::Error(fmt::format("{} and {} are not shards of one job: they differ in {}", first.folder.string(), other.folder.string(), names));
}

Shard open_shard(const std::string& name) {
  Shard shard;
  shard.folder = name;
  require_run_folder(shard.folder);
  shard.job = job::load_job(shard.folder / "job.yaml", {}, job::JudgePresence::optional);
  shard.identity = results::scan_journal(shard.folder, {}).identity;
  const auto manifest = nlohmann::json::parse(base::read_file(shard.folder / "manifest.json"), nullptr, false);
  if (!manifest.is_object() || !manifest.contains("suites") || !manifest["suites"].is_array()) return shard;
  for (const auto& suite : manifest["suites"]) {
    if (suite.is_object()) shard.suites[suite.value("id", "")] = suite.value("hash", "");
  }
  return shard;
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code none;
  return fs::weakly_canonical(a, none) == fs::weakly_canonical(b, none);
}

}  // namespace

int merge(const std::string& output, const std::vector<std::string>& run_folders) {
  std::vector<Shard> shards;
  for (const auto& name : run_folders) {
    if (same_folder(name, output)) throw base::Error(fmt::format("{}: is what the runs are merged into, so it cannot be one of them", name));
    shards.push_back(open_shard(name));
    refuse_difference(shards.front(), shards.back());
  }
  for (const auto& shard : shards) {
    if (fs::exists(shard.folder / "DONE")) continue;
    throw base::Error(fmt::format("{}: is not done; run it to its end first (its script again, for one task of an array "
                                  "sbatch --array=INDEX)", shard.folder.string()));
  }

  Plan plan;
  plan.job = job::load_job(shards.front().folder / "job.yaml",
                           {"limits.shard=none", "output=" + yaml_quoted(output)}, job::JudgePresence::optional);
  plan.suites = load_suites(plan.job);

  fs::create_directories(output);
  // Continued, where an earlier merge was interrupted; a run of something else is refused by its identity.
  results::Journal journal(output, shards.front().identity);
  results::DigestSet seen;
  for (const auto& shard : shards) {
    results::scan_journal(shard.folder, [&](results::Judgement&& judgement) {
      if (!seen.insert(base::digest(judgement.key))) {
        throw base::Error(fmt::format("{}: has a judgement that another run has too ({}): the runs overlap", shard.folder.string(),
                                      describe(judgement.key)));
      }
      journal.append(judgement);
    });
    base::log(base::LogLevel::info, fmt::format("read {}", shard.folder.string()));
  }
  journal.sync();
  if (journal.calls() != seen.size()) {
    throw base::Error(fmt::format("{}: holds {} judgements that none of the runs has; choose another folder to merge into", output,
                                  journal.calls() - seen.size()));
  }
  base::write_file_atomically(fs::path(output) / "job.yaml", plan.job.resolved_yaml);
  base::write_file_atomically(fs::path(output) / "manifest.json",
                              manifest_text(plan, shards.front().identity, fmt::format("{} runs merged", shards.size())));
  const Assessment assessment = assess(plan, output, {fmt::format("{} runs merged", shards.size()), 0, 0}, [](double) {});
  fmt::print("{}\n", summary(assessment));
  if (!assessment.complete()) {
    throw base::Error(fmt::format("{}: {} calls of the job are in none of these {} runs: are all {} shards there?", output,
                                  assessment.wanted - assessment.judged, shards.size(), shards.front().job.limits.shards));
  }
  base::write_file_atomically(fs::path(output) / "DONE", fmt::format("{} calls\n", assessment.judged));
  return 0;
}

}  // namespace assize::app
