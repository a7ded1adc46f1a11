#pragma once

#include <filesystem>

#include "cluster/fake_judge.h"

namespace assize::app {

/// Reads a table of answers for `judge: {fake: FILE}`:
///   slots: 4
///   default: {text: "<answer>{random:1:10}</answer>…", delay_seconds: 0}
///   rows:
///     - {suite: s, sample: a, presentation: "0-1", vote: 0, action: answer, text: "…"}
/// actions: answer, truncate, fail, throw, hang, exit. Throws Error with every problem.
cluster::FakeTable load_fake_table(const std::filesystem::path& file);

}  // namespace assize::app
