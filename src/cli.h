#pragma once

#include <string>
#include <vector>

#include "app/agree.h"
#include "app/batch_script.h"
#include "app/commands.h"
#include "app/compare.h"
#include "app/generate.h"

namespace assize::cli {

/// A parsed command line.
struct Command {
  std::string name;                   ///< of the command; empty: only help was asked
  std::string target;                 ///< the first of `targets`: a job file or run folder
  std::vector<std::string> targets;   ///< all arguments that are no options
  std::vector<std::string> settings;  ///< --set key=value
  bool fresh = false;
  std::vector<std::string> retry;     ///< run: failed, truncated, unreadable
  bool digest = false;
  bool only_output = false;
  bool once = false;
  app::SubmitOptions submit;
  std::vector<std::string> formats;   ///< export
  std::string output;                 ///< export; empty: the default
  app::GenerateOptions generate;
  app::PromptOptions prompt;
  app::AgreeOptions agree;
  app::CompareOptions compare;
};

/// Parses the command line; prints help where it is asked for. Throws base::Error (usage) on anything wrong,
/// naming the nearest valid word.
Command parse(int argc, char** argv);

/// Carries the command out and returns the exit code: 0 done, 1 failed, 2 bad usage or job, 3 finished above
/// the failure limit, 4 a figure outside its band (compare --expect), 75 stopped before the end and can be resumed.
int run(const Command& command);

}  // namespace assize::cli
