#pragma once

#include <string>
#include <vector>

namespace assize::app {

/// `assize run`: judges what is outstanding and writes results and report. Also the entry of every rank of an
/// MPI world. Returns the exit code (cli.h).
int run(const std::string& job_file, const std::vector<std::string>& settings, bool fresh);

/// `assize check`: resolves the job, opens data and model headers, prints plan and cost.
int check(const std::string& job_file, const std::vector<std::string>& settings);

/// What `assize prompt` is asked for.
struct PromptOptions {
  std::vector<std::string> settings;  ///< as of `run`
  std::string sample;                 ///< id; empty: the first one
  std::string suite;                  ///< id; needed only where several suites have the sample
};

/// `assize prompt`: the rendered text of every order of one sample, with the tokens of text and pictures; judges
/// nothing.
int prompt(const std::string& job_file, const PromptOptions& options);

/// `assize show`: state, counts and metrics of a run folder; with `digest` one line: the hash over everything
/// but timings.
int show(const std::string& run_folder, bool digest);

/// `assize report`: verdicts, metrics and report from the stored texts.
int report(const std::string& run_folder);

/// `assize version`.
int version();

}  // namespace assize::app
