#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/hash.h"
#include "job/job_spec.h"
#include "suite/profile.h"
#include "suite/prompt.h"
#include "suite/sample.h"
#include "verdict/verdict.h"

namespace assize::suite {

/// A benchmark: labelled samples with the protocol and prompt by which they are judged.
struct Suite {
  std::string id;
  std::string title;
  std::string source;             ///< where the data come from
  int annotators = 0;             ///< annotators that every sample must have; 0: any number
  verdict::Protocol protocol = verdict::Protocol::pair;
  bool ties_allowed = true;       ///< pair: people may call a tie
  bool links_may_leave = false;   ///< media may be symbolic links to files outside the suite's folder
  double low = 1, high = 5;       ///< score: range of people's scores
  job::Profile profile = job::Profile::strict;
  ProfileRules rules;             ///< of the profile
  PromptTemplate prompt;          ///< the profile's, or the suite's own
  std::vector<Sample> samples;    ///< by id, so that nothing depends on the order of the file
  /// Orders drawn as the published scripts do (`orders: random` in profile repo): [vote][row] whether the candidates are
  /// swapped; else empty.
  std::vector<std::vector<bool>> swaps;
  base::Hash128 hash;             ///< of suite.yaml, samples file and prompt
  bool labelled = true;           ///< false: data of `kind: label`, whose further fields are the user's own
  std::filesystem::path file;     ///< suite.yaml, or the data file
};

/// Reads a suite.yaml and its samples file; `limit` > 0 keeps a seeded, nested subset of that many samples. Every problem of the files is reported, at most 20 of the samples file: broken JSON, duplicate
/// id, missing picture file, label outside the protocol's set, wrong number of candidates, a count that
/// differs from `count`. Picture paths must stay inside the suite's folder.
/// `profile` chooses prompt, picture sizes and failure values where the suite has several.
Suite load_suite(const std::filesystem::path& file, int limit, std::uint64_t seed,
                 job::Profile profile = job::Profile::strict);

/// Reads unlabelled data, one JSON object a line with `id`, `question`, `images` and `candidates` (one or several) as in
/// a samples file; every other field belongs to the user and is not looked at. `limit` and problems as in
/// `load_suite`. Picture paths must stay inside `data.media`.
Suite load_data(const job::DataSpec& data, int limit, std::uint64_t seed);

/// The label in the protocol's canonical spelling; empty if it is not one ("a" -> "A", "TIE" -> "tie").
std::string canonical_label(const std::string& label, verdict::Protocol protocol, int candidates, bool ties_allowed);

}  // namespace assize::suite
