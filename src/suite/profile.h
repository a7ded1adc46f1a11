#pragma once

#include <filesystem>
#include <optional>

#include "job/job_spec.h"
#include "job/reader.h"
#include "verdict/combine.h"

namespace assize::suite {

/// What a suite does otherwise in one profile: the entry of its `profiles:` section, or nothing.
struct ProfileRules {
  std::filesystem::path prompt;  ///< empty: the suite's own
  int image_width_px = 0;        ///< every picture is brought to this size first; 0: native
  int image_height_px = 0;
  /// What stands in for an unreadable vote where the job does not say.
  std::optional<verdict::UnreadablePolicy> unreadable;
  double constant = 0;           ///< policy constant
  std::optional<verdict::VoteRule> votes;
  std::optional<verdict::VoteTies> vote_ties;
};

/// Reads `profiles:`, a map of profile names to {prompt, image_size, on_unreadable (exclude, wrong, tie or a number),
/// votes (majority, sign, mean), vote_ties (tie, first_seen)}, and gives the rules of `wanted`. What is wrong with any
/// of the entries is a problem, and so is a suite without an entry `repo` where that is wanted, or one whose published
/// prompt is not there.
ProfileRules read_profiles(const job::Tree* tree, const job::Place& place, const std::filesystem::path& suite_file,
                           job::Profile wanted, job::Problems& problems);

}  // namespace assize::suite
