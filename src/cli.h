#pragma once

#include <string>
#include <vector>

#include "app/commands.h"
#include "app/generate.h"

namespace assize::cli {

/// A parsed command line.
struct Command {
  std::string name;                   ///< run, check, prompt, show, report, generate, version; empty: only help was asked
  std::string target;                 ///< job file or run folder
  std::vector<std::string> settings;  ///< --set key=value
  bool fresh = false;
  bool digest = false;
  app::GenerateOptions generate;
  app::PromptOptions prompt;
};

/// Parses the command line; prints help where it is asked for. Throws base::Error (usage) on anything wrong,
/// naming the nearest valid word.
Command parse(int argc, char** argv);

/// Carries the command out and returns the exit code: 0 done, 1 failed, 2 bad usage or job, 3 finished above
/// the failure limit, 75 stopped before the end and can be resumed.
int run(const Command& command);

}  // namespace assize::cli
