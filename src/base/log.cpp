#include "base/log.h"

#include <poll.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <vector>

namespace assize::base {

namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warning: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// Standard error, unless nobody reads it: a full pipe would stop the whole run, a closed one end it.
class PatientStderr final : public spdlog::sinks::stderr_color_sink_mt {
 public:
  void log(const spdlog::details::log_msg& message) override {
    pollfd stderr_now{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&stderr_now, 1, 0) == 1 && (stderr_now.revents & (POLLERR | POLLNVAL)) == 0) {
      spdlog::sinks::stderr_color_sink_mt::log(message);
    }
  }
};

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("assize", std::make_shared<PatientStderr>());
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    return made;
  }();
  return instance;
}

}  // namespace

void open_log(const std::string& who, const std::string& file, LogLevel level) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<PatientStderr>()};
  std::string problem;
  try {
    if (!file.empty()) sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
  } catch (const spdlog::spdlog_ex& error) {
    problem = error.what();
  }
  auto made = std::make_shared<spdlog::logger>("assize", sinks.begin(), sinks.end());
  made->set_pattern(who.empty() ? "%H:%M:%S %^%l%$ %v" : "%H:%M:%S %^%l%$ [" + who + "] %v");
  made->set_level(to_spdlog(level));
  made->flush_on(spdlog::level::info);
  made->set_error_handler([](const std::string&) {});  // a full disk: standard error still has the line
  logger() = std::move(made);
  if (!problem.empty()) log(LogLevel::warning, "no log file: " + problem);
}

void log(LogLevel level, std::string_view line) { logger()->log(to_spdlog(level), line); }

}  // namespace assize::base
