#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace assize::app {

/// RUN/faults.jsonl: which worker group ended or hampered which launch, one line an event. A launch is named by the
/// first line of RUN/lock, which no two coordinators share.

/// Appends an event; whoever cannot write it goes on without.
void record_fault(const std::filesystem::path& run_folder, const std::string& group, const std::string& why);

/// Groups that are named in two launches or more: they are left out of the next. Lines that cannot be read are skipped.
std::set<std::string> groups_to_leave_out(const std::filesystem::path& run_folder);

}  // namespace assize::app
