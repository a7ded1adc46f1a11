#pragma once

#include <string>
#include <vector>

#include "app/batch_script.h"

namespace assize::app {

/// `assize run`: judges what is outstanding and writes results and report. Also the entry of every rank of an
/// MPI world. Returns the exit code (cli.h).
/// `retry`: which judgements are made again: failed, truncated, unreadable.
int run(const std::string& job_file, const std::vector<std::string>& settings, bool fresh, const std::vector<std::string>& retry);

/// `assize check`: resolves the job, opens data and model headers, prints plan and cost; with `only_output` prints
/// only the folder of the run, for scripts, and opens nothing but the job.
int check(const std::string& job_file, const std::vector<std::string>& settings, bool only_output);

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

/// `assize submit`: prints the batch script of a job for a cluster, or hands it to sbatch, and says how to watch it.
int submit(const std::string& job_file, const std::vector<std::string>& settings, const SubmitOptions& options);

/// `assize watch`: follows runs by reading their files only and ends when all are done (0), or when nothing has been
/// written for a while (75). With `once` says how they stand and returns 0.
int watch(const std::vector<std::string>& run_folders, bool once);

/// `assize merge`: makes one run of the shards of a job in `output`: one journal, and results and report from it.
int merge(const std::string& output, const std::vector<std::string>& run_folders);

/// `assize export`: results.h5 and report of a finished, unfinished or crashed run in a folder of their own
/// (`output`, default RUN-export), and its tables as text for each of `formats` (csv, jsonl). The run is only read.
int export_run(const std::string& run_folder, const std::vector<std::string>& formats, const std::string& output);

/// `assize verify`: checks every frame, key and hash of a run and prints what is whole. Reads only. Returns 0 if
/// nothing is damaged (an unfinished run may be whole), else 1.
int verify(const std::string& run_folder);

/// `assize version`.
int version();

}  // namespace assize::app
