#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

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

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("assize", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S %^%l%$ %v");
    return made;
  }();
  return instance;
}

}  // namespace

void open_log(const std::string& who, const std::string& file, LogLevel level) {
  std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};
  if (!file.empty()) sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(file));
  auto made = std::make_shared<spdlog::logger>("assize", sinks.begin(), sinks.end());
  made->set_pattern(who.empty() ? "%H:%M:%S %^%l%$ %v" : "%H:%M:%S %^%l%$ [" + who + "] %v");
  made->set_level(to_spdlog(level));
  made->flush_on(spdlog::level::info);
  logger() = std::move(made);
}

void log(LogLevel level, std::string_view line) { logger()->log(to_spdlog(level), line); }

}  // namespace assize::base
