#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/paths.h"

namespace assize::app_tests {

/// What a run of the program printed (both streams) and its exit code.
struct Outcome {
  int code = -1;
  std::string text;
};

/// Runs `assize ARGUMENTS` as a user would; `launcher` comes before it (mpirun …).
inline Outcome program(const std::string& arguments, const std::string& launcher = "") {
  const std::string command = launcher + " " + support::binary_dir() + "/assize " + arguments + " 2>&1 </dev/null";
  Outcome outcome;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return outcome;
  std::array<char, 4096> buffer;
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) outcome.text.append(buffer.data(), n);
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  return outcome;
}

/// `mpirun -np RANKS`, oversubscribed, allowed for root, on this machine only.
inline std::string mpirun(int ranks) {
  return "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
         "OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo "
         "OMPI_MCA_plm_rsh_agent=/bin/false mpirun -np " + std::to_string(ranks);
}

/// The digest of a run folder, 32 hexadecimal digits; whatever else was printed where there is none.
inline std::string digest(const std::string& run) { return program("show " + run + " --digest").text.substr(0, 32); }

}  // namespace assize::app_tests
