#include "skyloom/core/log.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <string_view>
#include <utility>

#include <fmt/ranges.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace skyloom {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::unique_ptr<spdlog::formatter> utc_lines(const std::string& pattern) {
  return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc);
}

/// spdlog's pattern for a format in Python's notation; other per cent signs stand for themselves.
std::string pattern_of(const std::string& format) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kFields{
      {{"%(asctime)s", "%Y-%m-%dT%H:%M:%S.%eZ"},
       {"%(name)s", "%n"},
       {"%(levelname)s", "%l"},
       {"%(message)s", "%v"}}};
  std::string out;
  for (std::size_t at = 0; at < format.size();) {
    const auto field = std::find_if(kFields.begin(), kFields.end(), [&](const auto& candidate) {
      return format.compare(at, candidate.first.size(), candidate.first) == 0;
    });
    if (field != kFields.end()) {
      out += field->second;
      at += field->first.size();
    } else {
      out += format[at] == '%' ? "%%" : std::string(1, format[at]);
      ++at;
    }
  }
  return out;
}

}  // namespace

struct Log::Impl {
  int rank = 0;
  LogLevel terminal_level = LogLevel::info;
  LogLevel file_level = LogLevel::warning;
  std::string folder;
  std::shared_ptr<spdlog::sinks::sink> terminal;
  std::shared_ptr<spdlog::sinks::sink> file;
  std::shared_ptr<spdlog::sinks::sink> command;
  std::mutex mutex;
  std::size_t shown = 0;  // live lines that stand at the end of the terminal

  void erase_shown();
};

void Log::Impl::erase_shown() {
  if (shown == 0) {
    return;
  }
  std::string text = "\r\x1b[K";
  for (std::size_t i = 1; i < shown; ++i) {
    text += "\x1b[A\x1b[K";  // one line up
  }
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  shown = 0;
}

Log::Log(int rank, LogLevel terminal_level) : impl_(std::make_unique<Impl>()) {
  impl_->rank = rank;
  impl_->terminal_level = terminal_level;
  if (rank == 0) {
    impl_->terminal = std::make_shared<spdlog::sinks::stderr_sink_st>();
    impl_->terminal->set_pattern("%v");
  }
}

Log::~Log() = default;

void Log::open_folder(const std::string& folder, LogLevel level) {
  impl_->folder = folder;
  impl_->file_level = level;
}

void Log::set_level(LogLevel level) {
  impl_->terminal_level = level;
}

void Log::open_command_log(const std::string& file, const std::string& format) {
  if (impl_->rank == 0) {
    impl_->command = std::make_shared<spdlog::sinks::basic_file_sink_st>(file, false);
    impl_->command->set_formatter(utc_lines(pattern_of(format)));
  }
}

void Log::show(const std::vector<std::string>& lines) {
  if (!impl_->terminal) {
    return;
  }
  const std::scoped_lock lock(impl_->mutex);
  impl_->erase_shown();
  const std::string text = fmt::format("{}", fmt::join(lines, "\n"));
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
  impl_->shown = lines.size();
}

void Log::write(LogLevel level, const std::string& text) {
  const std::scoped_lock lock(impl_->mutex);
  const spdlog::details::log_msg message("skyloom", level_of(level), text);
  if (impl_->terminal && level >= impl_->terminal_level) {
    impl_->erase_shown();
    const std::string prefix = level == LogLevel::warning ? "skyloom: warning: "
                               : level == LogLevel::error ? "skyloom: "
                                                          : "";
    impl_->terminal->log(spdlog::details::log_msg("skyloom", level_of(level), prefix + text));
    impl_->terminal->flush();
  }
  if (impl_->command && level >= impl_->terminal_level) {
    impl_->command->log(message);
    impl_->command->flush();
  }
  if (!impl_->folder.empty() && level >= impl_->file_level) {
    if (!impl_->file) {
      impl_->file = std::make_shared<spdlog::sinks::basic_file_sink_st>(
          fmt::format("{}/rank-{:04d}.log", impl_->folder, impl_->rank), false);
      impl_->file->set_formatter(
          utc_lines(fmt::format("%Y-%m-%dT%H:%M:%S.%eZ rank={} %l %v", impl_->rank)));
    }
    impl_->file->log(message);
    impl_->file->flush();
  }
}

}  // namespace skyloom
