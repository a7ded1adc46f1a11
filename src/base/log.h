#pragma once

#include <string>
#include <string_view>

namespace assize::base {

/// Log levels, from most to least talkative.
enum class LogLevel { debug, info, warning, error };

/// Directs the log of this process: lines to standard error and, if `file` is not empty, appended to that
/// file. `who` (for example "rank 3 group 1") stands in every line. A file that cannot be written is named once and
/// done without: it is never worth a run.
void open_log(const std::string& who, const std::string& file, LogLevel level);

/// Writes one line to the log. Thread-safe.
void log(LogLevel level, std::string_view line);

}  // namespace assize::base
