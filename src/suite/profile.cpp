#include "suite/profile.h"

#include <charconv>

#include <fmt/format.h>

#include "base/error.h"
#include "job/paths.h"

namespace assize::suite {

namespace fs = std::filesystem;

namespace {

void read_policy(job::MapReader& reader, ProfileRules& rules, job::Problems& problems) {
  std::string text;
  reader.get("on_unreadable", text);
  if (text.empty()) return;
  const char* end = text.data() + text.size();
  if (const auto [at, code] = std::from_chars(text.data(), end, rules.constant); code == std::errc{} && at == end) {
    rules.unreadable = verdict::UnreadablePolicy::constant;
    return;
  }
  if (text == "exclude" || text == "wrong" || text == "tie") {
    rules.unreadable = verdict::policy_named(text);
    return;
  }
  problems.add(reader.place("on_unreadable"),
               fmt::format("'{}' is '{}', it must be exclude, wrong, tie or a number", reader.path("on_unreadable"), text));
}

/// `prompt`: its name as written.
ProfileRules read_rules(job::MapReader reader, const fs::path& suite_file, std::string& prompt, job::Problems& problems) {
  ProfileRules rules;
  std::string size = "native";
  reader.get("prompt", prompt);
  if (!prompt.empty()) rules.prompt = job::resolve(prompt, suite_file);
  reader.get("image_size", size);
  if (!job::parse_image_size(size, rules.image_width_px, rules.image_height_px)) {
    problems.add(reader.place("image_size"),
                 fmt::format("'{}' is '{}', it must be 'native' or WIDTHxHEIGHT in pixels", reader.path("image_size"), size));
  }
  read_policy(reader, rules, problems);
  using verdict::VoteRule;
  using verdict::VoteTies;
  VoteRule votes = VoteRule::majority;
  VoteTies ties = VoteTies::tie;
  reader.get("votes", votes, {{"majority", VoteRule::majority}, {"sign", VoteRule::sign}, {"mean", VoteRule::mean}});
  reader.get("vote_ties", ties, {{"tie", VoteTies::tie}, {"first_seen", VoteTies::first_seen}});
  if (reader.has("votes")) rules.votes = votes;
  if (reader.has("vote_ties")) rules.vote_ties = ties;
  reader.finish();
  return rules;
}

}  // namespace

ProfileRules read_profiles(const job::Tree* tree, const job::Place& place, const fs::path& suite_file, job::Profile wanted,
                           job::Problems& problems) {
  job::MapReader reader(tree, place, "profiles", problems);
  ProfileRules rules;
  std::string prompt;
  bool found = false;
  for (const job::Profile profile : {job::Profile::strict, job::Profile::paper, job::Profile::repo}) {
    const job::Tree* entry = reader.take(job::name(profile));
    if (!entry) continue;
    std::string name;
    const ProfileRules read =
        read_rules(job::MapReader(entry, place, fmt::format("profiles.{}", job::name(profile)), problems), suite_file, name, problems);
    if (profile != wanted) continue;
    rules = read;
    prompt = name;
    found = true;
  }
  reader.finish();
  if (wanted == job::Profile::repo && !found) {
    problems.add(place, "the suite has no 'profiles.repo': the published scripts do not judge it; use profile strict or paper, or "
                        "leave the suite out");
  } else if (!rules.prompt.empty() && !fs::exists(rules.prompt)) {
    problems.add(place, wanted == job::Profile::repo
                            ? fmt::format("profile repo needs the published prompt {}, which cannot be shipped: take it from a "
                                          "checkout of jongwooko/flex-judge with tools/import-prompts CHECKOUT", prompt)
                            : fmt::format("the prompt {} of profile {} does not exist", prompt, job::name(wanted)));
  }
  return rules;
}

}  // namespace assize::suite
